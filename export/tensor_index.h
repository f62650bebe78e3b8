// model.safetensors.index.json
#ifndef VERNIER_EXPORT_TENSOR_INDEX_H_
#define VERNIER_EXPORT_TENSOR_INDEX_H_

#include <string>

#include "recipes/plan.h"

namespace vernier::exporter {

// The index of the planned shards: total_size is the sum of tensor bytes, names are sorted. It is
// written for a single shard too: SGLang looks for the experts' dtype through it.
std::string TensorIndexText(const recipes::Plan& plan);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_TENSOR_INDEX_H_
