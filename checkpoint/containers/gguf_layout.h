// Where tensors lie in GGUF files: a plan's tensors, of which those of experts are parts of one.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_GGUF_LAYOUT_H_
#define VERNIER_CHECKPOINT_CONTAINERS_GGUF_LAYOUT_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/containers/container.h"
#include "checkpoint/containers/gguf_bytes.h"
#include "checkpoint/families/gguf_model.h"

namespace vernier::checkpoint::gguf {

// The plan's tensors in file order, at places relative to the data's begin, which is `data_begin`
// bytes behind that of the first of them: aligned where they begin a tensor of the file, and
// without gaps within one. kNotInContainer where a part is missing.
std::vector<TensorInfo> PlaceTensors(std::vector<TensorSpec> specs, uint64_t data_begin);
// Behind the last of them, padded.
uint64_t DataEnd(std::span<const TensorInfo> tensors, uint64_t data_begin);

// The tensors of the file: `tensors` of a plan, in file order, data beginning at `data_begin`.
std::vector<TensorEntry> EntriesOf(std::span<const TensorInfo* const> tensors, uint64_t data_begin);

// general.file_type: llama.cpp's name for a model with weights in the smallest type that it has.
uint32_t FileType(std::span<const TensorEntry> tensors);

// Which NVFP4 tensors' inputs are not quantised, because the file has no scale for them
// (general.tensor_extra).
std::vector<std::string> WithoutInputScale(std::span<const TensorEntry> tensors);

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_CONTAINERS_GGUF_LAYOUT_H_
