#include "export/tensor_index.h"

#include <nlohmann/json.hpp>

namespace vernier::exporter {

std::string TensorIndexText(const recipes::Plan& plan) {
  // Not Json: its look-up by name is linear, and there may be 100,000 names.
  nlohmann::json weight_map = nlohmann::json::object();
  for (const recipes::OutputShard& shard : plan.shards) {
    for (const recipes::OutputTensor& tensor : shard.tensors) {
      weight_map[tensor.info.name] = shard.file_name;
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", plan.tensor_bytes}}},
                                {"weight_map", std::move(weight_map)}};
  return index.dump(2) + "\n";
}

}  // namespace vernier::exporter
