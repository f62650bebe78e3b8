// What engines do to the input of a linear layer.
#ifndef VERNIER_CHECKPOINT_FORMATS_ACTIVATION_FORMAT_H_
#define VERNIER_CHECKPOINT_FORMATS_ACTIVATION_FORMAT_H_

namespace vernier::checkpoint {

enum class ActivationFormat {
  kUnquantized,  // the product is one of 16-bit activations
  kNvfp4,      // E2M1 with the checkpoint's global scale and E4M3 per 16 columns, found at run time
  kFp8Tensor,  // E4M3 with the checkpoint's scale
  kFp8Token,   // E4M3 with a scale per row, found at run time
  kFp8Group,   // the same per group of columns
  kNotEmulated,  // engines differ, or it is not known what they do
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_ACTIVATION_FORMAT_H_
