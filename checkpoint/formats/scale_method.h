// How the scales of a quantised weight are chosen.
#ifndef VERNIER_CHECKPOINT_FORMATS_SCALE_METHOD_H_
#define VERNIER_CHECKPOINT_FORMATS_SCALE_METHOD_H_

namespace vernier::checkpoint {

enum class ScaleMethod {
  kAuto,          // NVFP4: lossless from MXFP4, else mse where calibrated; max for all others
  kMax,           // scales from amax
  kLossless,      // NVFP4 as a closed-form cast of an MXFP4 source: same values
  kFourOverSix,   // NVFP4: a block's amax becomes 6 or 4, whichever has the smaller squared error
  kMse,           // NVFP4, MXFP4: the block scale of smallest (weighted) squared error
  kLocalHessian,  // NVFP4: the block scale of smallest error of the output, by what calibration
                  // saw of inputs
  kGptq,          // NVFP4: codes and block scales of GPTQ, by calibration itself
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_SCALE_METHOD_H_
