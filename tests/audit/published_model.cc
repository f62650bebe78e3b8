#include "tests/audit/published_model.h"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "tests/audit/published_tensors.h"

namespace vernier::audit {
namespace {

using checkpoint::SafetensorsLayout;
using checkpoint::TensorInfo;
using checkpoint::TensorSpec;

// The scales of weights and inputs, not the factors of DeepSeek-V4's residual streams.
bool IsF32Scale(const TensorInfo& tensor) {
  return tensor.dtype == checkpoint::DType::kF32 &&
         tensor.name.find("_scale") != std::string::npos &&
         tensor.name.find("hc_") == std::string::npos;
}

// The bytes that are not written read as zeros and take no room.
void WriteSparseFile(const std::filesystem::path& path, std::vector<TensorSpec> specs) {
  const SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(specs), {{"format", "pt"}});
  const File file = File::OpenForWrite(path, /*truncate=*/true);
  file.Truncate(layout.file_bytes);
  file.WriteAt(0, std::as_bytes(std::span(layout.prefix)));
  for (const TensorInfo& tensor : layout.tensors) {
    if (!IsF32Scale(tensor)) continue;
    const std::vector<float> ones(static_cast<size_t>(tensor.Elements()), 1.0f);
    file.WriteAt(tensor.begin, std::as_bytes(std::span(ones)));
  }
}

void WriteShards(const std::vector<TensorSpec>& specs, const PublishedOptions& options,
                 const std::filesystem::path& directory) {
  Json weight_map = Json::object();
  uint64_t total_size = options.stale_index_size ? 1 : 0;
  for (int i = 0; i < options.shards; ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, options.shards);
    const auto at = [&](int shard) {
      return specs.begin() + static_cast<ptrdiff_t>(specs.size()) * shard / options.shards;
    };
    for (auto it = at(i); it != at(i + 1); ++it) {
      weight_map[it->name] = name;
      total_size += checkpoint::SpecBytes(*it);
    }
    WriteSparseFile(directory / name, {at(i), at(i + 1)});
  }
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  WriteFileAtomically(directory / checkpoint::kIndexFileName, index.dump());
}

}  // namespace

void WritePublishedModel(std::string_view name, const PublishedOptions& options,
                         const std::filesystem::path& directory) {
  const PublishedConfig published = ReadPublishedConfig(name, options);
  CreateDirectories(directory);
  WriteFileAtomically(directory / "config.json", published.config.dump(2));
  if (!published.quant_config.is_null()) {
    WriteFileAtomically(directory / "hf_quant_config.json", published.quant_config.dump(2));
  }
  WriteShards(PublishedTensors(name, published), options, directory);
}

}  // namespace vernier::audit
