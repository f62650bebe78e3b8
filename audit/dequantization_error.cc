#include "audit/dequantization_error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "audit/parallel.h"
#include "base/error.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/weight_decoder.h"
#include "checkpoint/weight_reader.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using checkpoint::WeightReader;

constexpr Defect kShapesDiffer = {"C02", Severity::kError,
                                  "a converted weight has another shape than its source",
                                  "Check that this is the source the checkpoint was made from"};
constexpr Defect kUnreadable = {"C02", Severity::kError,
                                "a converted weight or its source cannot be dequantised",
                                "Download or export this weight again"};
constexpr Defect kWrongValues = {"V12", Severity::kError,
                                 "dequantised values have little to do with the source",
                                 "Export this weight again: its scales or nibbles are wrong"};
constexpr Defect kPoorValues = {"V12", Severity::kWarning,
                                "dequantised values are further from the source than usual",
                                "Keep these weights in their source format, or change their scale"};

// A block scale off by one binade costs 0.5 or more.
constexpr double kWrongError = 0.4;

// Half as much again as rounding a normal distribution costs: about 0.095 in NVFP4, 0.13 in MXFP4
// and in INT4's groups of 128, 0.027 in FP8's three bits, 0.0017 in BF16.
double PoorError(StoredFormat format) {
  switch (format) {
    case StoredFormat::kNvfp4:
      return 0.15;
    case StoredFormat::kMxfp4:
    case StoredFormat::kInt4:
      return 0.2;
    case StoredFormat::kPlain:
      return 0.003;
    default:
      return 0.05;
  }
}

constexpr int64_t kValuesAtATime = int64_t{1} << 20;

struct WeightError {
  ErrorStatistics statistics;
  std::string failure;  // why the weight could not be read
};

// Compares one weight, rows at a time.
class WeightComparison {
 public:
  WeightComparison(const Subject& subject, const Subject& source, const LogicalWeight& weight,
                   const LogicalWeight& source_weight)
      : subject_(subject), source_(source), weight_(weight), source_weight_(source_weight) {}

  ErrorStatistics Compare() {
    const int64_t columns = weight_.columns();
    const int64_t step = std::max<int64_t>(1, kValuesAtATime / std::max<int64_t>(1, columns));
    global_scale_ = ReadGlobalScale(subject_.checkpoint, weight_);
    for (int64_t row = 0; row < weight_.rows(); row += step) {
      CompareRows(row, std::min(step, weight_.rows() - row));
    }
    statistics_.weights = 1;
    statistics_.exact = statistics_.squared_error == 0;
    return statistics_;
  }

 private:
  void CompareRows(int64_t row, int64_t rows) {
    const auto count = static_cast<size_t>(rows * weight_.columns());
    values_.resize(count);
    expected_.resize(count);
    WeightReader(subject_.checkpoint).ReadF32(weight_, row, rows, values_);
    // What was clamped on the way is no error of the result.
    WeightReader(source_.checkpoint, {.clamp = true}).ReadF32(source_weight_, row, rows, expected_);
    for (size_t i = 0; i < count; ++i) {
      const double error = double{values_[i]} - double{expected_[i]};
      statistics_.squared_error += error * error;
      statistics_.squared_source += double{expected_[i]} * double{expected_[i]};
      statistics_.max_abs_error = std::max(statistics_.max_abs_error, std::fabs(error));
    }
    statistics_.values += static_cast<int64_t>(count);
    if (weight_.format == StoredFormat::kNvfp4) CountSaturated(row);
  }

  // The largest value that a block holds is 6 times its scales.
  void CountSaturated(int64_t row) {
    const size_t blocks = expected_.size() / quantizers::kNvfp4BlockSize;
    scales_.resize(blocks);
    const int64_t first = row * weight_.columns() / quantizers::kNvfp4BlockSize;
    subject_.checkpoint.Read(weight_.scale, static_cast<uint64_t>(first),
                             std::as_writable_bytes(std::span(scales_)));
    for (size_t i = 0; i < expected_.size(); ++i) {
      const float scale = quantizers::E4m3ToFloat(scales_[i / quantizers::kNvfp4BlockSize]);
      const float limit = quantizers::kE2m1Max * (scale * global_scale_);
      statistics_.saturated += std::fabs(expected_[i]) > limit;
    }
  }

  const Subject& subject_;
  const Subject& source_;
  const LogicalWeight& weight_;
  const LogicalWeight& source_weight_;
  float global_scale_ = 1;
  ErrorStatistics statistics_;
  std::vector<float> values_;
  std::vector<float> expected_;
  std::vector<uint8_t> scales_;
};

class Measurement {
 public:
  Measurement(const Subject& subject, const Subject& source)
      : subject_(subject),
        source_(source),
        layout_(BuildModelLayout(subject.checkpoint, *subject.family)),
        source_layout_(BuildModelLayout(source.checkpoint, *source.family)) {}

  WeightError Measure(const std::string& module) const {
    const LogicalWeight* weight = layout_.FindModule(module);
    const LogicalWeight* source_weight = source_layout_.FindModule(module);
    if (weight == nullptr || source_weight == nullptr) return {{}, module};
    try {
      return {WeightComparison(subject_, source_, *weight, *source_weight).Compare(), {}};
    } catch (const Error& error) {
      return {{}, error.what()};
    }
  }

  bool SameShape(const std::string& module) const {
    const LogicalWeight* weight = layout_.FindModule(module);
    const LogicalWeight* source_weight = source_layout_.FindModule(module);
    return weight == nullptr || source_weight == nullptr || weight->shape == source_weight->shape;
  }

 private:
  const Subject& subject_;
  const Subject& source_;
  ModelLayout layout_;
  ModelLayout source_layout_;
};

void Judge(const Module& module, const WeightError& error, FindingList* findings) {
  if (!error.failure.empty()) {
    findings->Add(kUnreadable, error.failure);
    return;
  }
  const double relative = error.statistics.RelativeError();
  if (relative <= PoorError(module.format)) return;
  findings->Add(relative > kWrongError ? kWrongValues : kPoorValues,
                module.name + " (relative error " + std::to_string(relative) + ")");
}

}  // namespace

std::vector<RoleError> MeasureErrors(const Subject& subject, const Subject& source,
                                     const SourceMatch& match, ReadMeter* meter,
                                     FindingList* findings) {
  const Measurement measurement(subject, source);
  const auto module_at = [&](size_t i) -> const Module& {
    return subject.index.modules[match.converted[i].first];
  };
  std::vector<size_t> comparable;
  for (size_t i = 0; i < match.converted.size(); ++i) {
    if (measurement.SameShape(module_at(i).name)) {
      comparable.push_back(i);
    } else {
      findings->Add(kShapesDiffer, module_at(i).name);
    }
  }
  const std::vector<WeightError> errors = ParallelMap(comparable.size(), [&](size_t i) {
    const Module& module = module_at(comparable[i]);
    WeightError error = measurement.Measure(module.name);
    for (const size_t tensor : module.Tensors()) meter->Add(subject.Info(tensor).Bytes());
    return error;
  });
  std::array<ErrorStatistics, checkpoint::kRoleCount> by_role = {};
  for (size_t i = 0; i < errors.size(); ++i) {
    const Module& module = module_at(comparable[i]);
    Judge(module, errors[i], findings);
    by_role[static_cast<size_t>(module.meaning.role)].Merge(errors[i].statistics);
  }
  std::vector<RoleError> result;
  for (int role = 0; role < checkpoint::kRoleCount; ++role) {
    if (by_role[role].weights == 0) continue;
    result.push_back({static_cast<checkpoint::Role>(role), by_role[role]});
  }
  return result;
}

}  // namespace vernier::audit
