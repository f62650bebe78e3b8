#include "export/file_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/hash.h"

namespace vernier::exporter {
namespace {

constexpr std::string_view kWeightSuffix = ".weight";
constexpr uint64_t kHashChunk = 8u << 20u;

std::string ModuleName(std::string name) {
  if (name.ends_with(kWeightSuffix)) name.resize(name.size() - kWeightSuffix.size());
  return name;
}

}  // namespace

FileImportance::FileImportance(const std::filesystem::path& path) : file_(File::OpenForRead(path)) {
  for (const checkpoint::TensorInfo& info : checkpoint::ReadSafetensorsHeader(file_).tensors) {
    if (info.dtype != checkpoint::DType::kF32) {
      throw Error(ErrorCode::kWrongDtype, info.name,
                  fmt::format("is {} in {}", info.dtype_name, path.string()),
                  "Give importance vectors as F32");
    }
    vectors_.emplace(ModuleName(info.name), info);
  }
  Hasher hasher;
  std::vector<std::byte> chunk;
  for (uint64_t done = 0, size = file_.Size(); done < size; done += chunk.size()) {
    chunk.resize(std::min(kHashChunk, size - done));
    file_.ReadAt(done, chunk);
    hasher.Update(chunk);
  }
  hash_ = hasher.Hex();
}

std::vector<float> FileImportance::Of(const checkpoint::LogicalWeight& weight) const {
  const auto found = vectors_.find(weight.module);
  if (found == vectors_.end()) return {};
  const checkpoint::TensorInfo& info = found->second;
  if (info.shape != std::vector<int64_t>{weight.columns()}) {
    throw Error(
        ErrorCode::kWrongShape, info.name,
        fmt::format("has the shape {} in {}, and the weight has {} columns",
                    checkpoint::ShapeText(info.shape), file_.path().string(), weight.columns()),
        "Give one importance per input channel");
  }
  std::vector<float> values(static_cast<size_t>(weight.columns()));
  file_.ReadAt(info.begin, std::as_writable_bytes(std::span(values)));
  const auto bad =
      std::ranges::find_if(values, [](float value) { return !std::isfinite(value) || value < 0; });
  if (bad != values.end()) {
    throw Error(
        ErrorCode::kBadWeightValue, info.name,
        fmt::format("element {} is {} in {}", bad - values.begin(), *bad, file_.path().string()),
        "Give finite importances of at least 0");
  }
  return values;
}

int64_t FileImportance::CountUses(const checkpoint::ModelLayout& layout,
                                  const recipes::Plan& plan) const {
  int64_t uses = 0;
  for (const auto& [module, info] : vectors_) {
    const auto found = layout.by_module.find(module);
    const bool searched =
        found != layout.by_module.end() && UsesImportance(plan.weights[found->second]);
    if (!searched) {
      throw Error(ErrorCode::kBadRule, info.name,
                  fmt::format("in {} belongs to no weight that is converted with the scale \"mse\"",
                              file_.path().string()),
                  "Name vectors like modules, and leave out those that are not converted");
    }
    ++uses;
  }
  return uses;
}

}  // namespace vernier::exporter
