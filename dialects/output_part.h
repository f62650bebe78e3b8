// What a tensor of an output is to its weight.
#ifndef VERNIER_DIALECTS_OUTPUT_PART_H_
#define VERNIER_DIALECTS_OUTPUT_PART_H_

namespace vernier::dialects {

enum class OutputPart {
  kSourceBytes,  // a source tensor, byte for byte
  kCodes,        // the values: codes of the format, or BF16
  kScale,        // scales of blocks, rows, or the whole weight
  kGlobalScale,  // NVFP4's F32; some dialects store its reciprocal
  kInputScale,   // one number; the same dialects store NVFP4's reciprocal
  kMoreCodes,    // values too, of a weight that its container splits
  kShape,        // N and K, where the codes do not tell
  kKvScale,      // a scale of the key/value cache
};

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_OUTPUT_PART_H_
