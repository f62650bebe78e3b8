#include "export/mega_moe_pack.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "checkpoint/weight_decoder.h"
#include "export/layout_pack_file.h"
#include "export/quant_config_modules.h"
#include "quantizers/float_formats.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using quantizers::FoldStats;

constexpr int64_t kRowMultiple = 128;
constexpr int64_t kScalesPerWord = 4;

// Weights that a kernel multiplies as one matrix per expert: rows of the parts, one above the
// other.
struct Projection {
  const SourceModel& model;
  std::vector<std::vector<size_t>> parts;  // [part][expert]
  std::string name;                        // "l1", "l2"

  const std::vector<int64_t>& ScaleShape(size_t part, size_t expert) const {
    return model.checkpoint.tensor(model.layout.weights[parts[part][expert]].scale).info.shape;
  }
  int64_t rows() const { return ScaleShape(0, 0)[0] * static_cast<int64_t>(parts.size()); }
  int64_t columns() const { return ScaleShape(0, 0)[1]; }  // scales per row
  size_t experts() const { return parts.front().size(); }
};

void RequireShapes(const Projection& projection) {
  for (const std::vector<size_t>& part : projection.parts) {
    for (const size_t index : part) {
      const LogicalWeight& weight = projection.model.layout.weights[index];
      const LogicalWeight& first = projection.model.layout.weights[projection.parts[0][0]];
      if (weight.shape == first.shape && projection.rows() % kRowMultiple == 0 &&
          projection.columns() % kScalesPerWord == 0) {
        continue;
      }
      throw Error(ErrorCode::kBadRule, weight.module,
                  "has the shape " + checkpoint::ShapeText(weight.shape) +
                      ", which the mega-moe layout cannot hold",
                  "Its rows (gate and up together) must be a multiple of 128, its columns of 64, "
                  "and all experts alike");
    }
  }
}

// The largest power of two that keeps every folded scale within E4M3.
float FoldFactor(const Projection& projection) {
  double largest = 0;
  for (const std::vector<size_t>& part : projection.parts) {
    for (const size_t index : part) {
      const LogicalWeight& weight = projection.model.layout.weights[index];
      const std::vector<uint8_t> scales = ReadBlockScales(projection.model.checkpoint, weight);
      const double global = ReadGlobalScale(projection.model.checkpoint, weight);
      largest = std::max(
          largest,
          global * static_cast<double>(quantizers::E4m3ToFloat(*std::ranges::max_element(scales))));
    }
  }
  if (largest == 0) return 1.0f;
  return static_cast<float>(
      std::exp2(std::floor(std::log2(static_cast<double>(quantizers::kE4m3Max) / largest))));
}

// One expert's scales as the kernel wants them.
std::vector<uint8_t> PackExpert(const Projection& projection, size_t expert, float factor,
                                FoldStats& stats) {
  const SourceModel& model = projection.model;
  const auto size = static_cast<size_t>(projection.rows() * projection.columns());
  std::vector<uint8_t> folded;
  for (const std::vector<size_t>& part : projection.parts) {
    const LogicalWeight& weight = model.layout.weights[part[expert]];
    const std::vector<uint8_t> scales = ReadBlockScales(model.checkpoint, weight);
    const size_t begin = folded.size();
    folded.resize(begin + scales.size());
    stats.Merge(quantizers::FoldGlobalScale(scales, ReadGlobalScale(model.checkpoint, weight),
                                            factor, std::span(folded).subspan(begin)));
  }
  if (projection.parts.size() > 1) {
    std::vector<int64_t> rows(static_cast<size_t>(projection.rows()));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = quantizers::GateUpInterleaveSource(static_cast<int64_t>(i), projection.rows());
    }
    std::vector<uint8_t> interleaved(size);
    quantizers::GatherRows(folded, rows, interleaved);
    folded.swap(interleaved);
  }
  std::vector<uint8_t> packed(size);
  quantizers::PackMegaMoeScales(folded, projection.columns(), packed);
  return packed;
}

std::vector<checkpoint::TensorSpec> Specs(const Projection& projection, const std::string& prefix) {
  return {{prefix + "_scale",
           checkpoint::DType::kI32,
           {static_cast<int64_t>(projection.experts()), projection.columns() / kScalesPerWord,
            projection.rows()}},
          {prefix + "_factor", checkpoint::DType::kF32, {}}};
}

FoldStats WriteProjection(const Projection& projection, const std::string& prefix,
                          const LayoutPackFile& file) {
  FoldStats stats;
  const float factor = FoldFactor(projection);
  file.Write(prefix + "_factor", 0, std::as_bytes(std::span(&factor, 1)));
  for (size_t expert = 0; expert < projection.experts(); ++expert) {
    const std::vector<uint8_t> packed = PackExpert(projection, expert, factor, stats);
    file.Write(prefix + "_scale", expert * packed.size(), std::as_bytes(std::span(packed)));
  }
  return stats;
}

}  // namespace

std::optional<ExpertLayer> FindExperts(const checkpoint::ModelLayout& layout,
                                       const std::vector<size_t>& weights) {
  std::map<int, std::array<size_t, 3>> experts;
  constexpr size_t kAbsent = checkpoint::Checkpoint::kNotFound;
  for (const size_t index : weights) {
    const LogicalWeight& weight = layout.weights[index];
    if (weight.role != checkpoint::Role::kRoutedExpert) continue;
    auto& three =
        experts.try_emplace(weight.expert, std::array{kAbsent, kAbsent, kAbsent}).first->second;
    const std::string& leaf = weight.projection;
    if (leaf == "w1" || leaf == "gate_proj") three[0] = index;
    if (leaf == "w3" || leaf == "up_proj") three[1] = index;
    if (leaf == "w2" || leaf == "down_proj") three[2] = index;
  }
  if (experts.empty()) return std::nullopt;
  ExpertLayer result;
  for (const auto& [expert, three] : experts) {
    if (std::ranges::count(three, kAbsent) > 0) {
      throw Error(ErrorCode::kBadRule, layout.weights[weights.front()].module,
                  "expert " + std::to_string(expert) + " of its layer is not NVFP4 as a whole",
                  "Convert gate, up and down projections alike");
    }
    result.gate.push_back(three[0]);
    result.up.push_back(three[1]);
    result.down.push_back(three[2]);
  }
  return result;
}

FoldStats WriteMegaMoeLayer(const SourceModel& model, const ExpertLayer& experts,
                            const std::filesystem::path& path) {
  const std::array projections = {Projection{model, {experts.gate, experts.up}, "l1"},
                                  Projection{model, {experts.down}, "l2"}};
  const std::string prefix =
      dialects::EngineModule(model.layout.weights[experts.gate.front()]) + ".";
  std::vector<checkpoint::TensorSpec> specs;
  for (const Projection& projection : projections) {
    RequireShapes(projection);
    for (auto& spec : Specs(projection, prefix + projection.name)) {
      specs.push_back(std::move(spec));
    }
  }
  LayoutPackFile file(path, std::move(specs), {{"layout", "mega-moe"}});
  FoldStats stats;
  for (const Projection& projection : projections) {
    stats.Merge(WriteProjection(projection, prefix + projection.name, file));
  }
  file.Publish();
  return stats;
}

}  // namespace vernier::exporter
