#include "export/folds.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "calib/statistics/input_channel_amax.h"
#include "run/statistic_rows.h"

namespace vernier::exporter {
namespace {

using statistics::InputChannelAmax;

constexpr const char* kAgain =
    "Calibrate with this recipe in another run directory, or set \"smooth\" to \"none\" (or "
    "--effort fast)";

// By name.
std::map<std::string, run::FoldRecord> Chosen(const run::Store& store) {
  std::map<std::string, run::FoldRecord> chosen;
  for (run::FoldRecord& record : run::ListFolds(store.database())) {
    chosen.emplace(record.name, std::move(record));
  }
  return chosen;
}

// By module.
std::map<std::string, std::vector<float>> ChannelAmax(const run::Store& store) {
  std::map<std::string, std::vector<float>> amax;
  for (const run::StatisticRow& row : run::StatisticsNamed(store, InputChannelAmax::kName)) {
    const statistics::Value value =
        statistics::Parse(statistics::Describe<InputChannelAmax>(), row.bytes, row.module);
    amax[row.module] = statistics::ElementsOf<float>(value).elements;
  }
  return amax;
}

}  // namespace

Folds::Folds(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
             const run::Store& store)
    : layout_(layout), plan_(plan), store_(store), scales_(plan.folds.size()) {
  std::map<std::string, run::FoldRecord> chosen = Chosen(store);
  RequireAllOfSolved(chosen);
  if (plan.folds.empty()) return;
  Hasher hasher;
  for (size_t i = 0; i < plan.folds.size(); ++i) {
    const std::string& name = plan.folds[i].fold.name;
    const auto record = chosen.find(name);
    if (record == chosen.end()) {
      throw Error(ErrorCode::kNotCalibrated, store.run_dir().string(),
                  fmt::format("{} is to be folded (smooth), which this calibration did not choose "
                              "factors for",
                              name),
                  kAgain);
    }
    records_.push_back(std::move(record->second));
    scales_[i] = records_.back().scales;
    Check(i);
    hasher.Update(fmt::format("{} {}\n", name, scales_[i].size()));
    hasher.Update(std::as_bytes(std::span(scales_[i])));
  }
  hash_ = hasher.Hex();
}

// Weights that calibration solved are solved as all of its folds leave them.
void Folds::RequireAllOfSolved(const std::map<std::string, run::FoldRecord>& chosen) const {
  if (!std::ranges::any_of(plan_.weights, [](const recipes::WeightPlan& weight) {
        return weight.scale == recipes::ScaleMethod::kGptq;
      })) {
    return;
  }
  for (const auto& [name, record] : chosen) {
    const bool planned = std::ranges::any_of(
        plan_.folds, [&](const recipes::PlannedFold& fold) { return fold.fold.name == name; });
    if (planned || record.scales.empty()) continue;
    throw Error(ErrorCode::kNotCalibrated, store_.run_dir().string(),
                fmt::format("its weights were solved behind a fold of {}, which this plan does not "
                            "make",
                            name),
                kAgain);
  }
}

void Folds::Check(size_t fold) const {
  const std::vector<float>& scales = scales_[fold];
  const bool fits =
      scales.empty() || static_cast<int64_t>(scales.size()) == plan_.folds[fold].fold.channels;
  if (fits && checkpoint::AreFactors(scales)) return;
  throw Error(ErrorCode::kStoreCorrupt, store_.run_dir().string(),
              fmt::format("its {} factors of {} are not those of {} channels", scales.size(),
                          plan_.folds[fold].fold.name, plan_.folds[fold].fold.channels),
              kAgain);
}

std::vector<run::InputAmax> Folds::Fold(std::vector<run::InputAmax> inputs) const {
  if (CountUsed() == 0) return inputs;
  const std::map<std::string, std::vector<float>> channels = ChannelAmax(store_);
  for (run::InputAmax& input : inputs) {
    const auto weight = layout_.by_module.find(input.module);
    if (weight == layout_.by_module.end() || input.tokens == 0) continue;
    const std::vector<float> factors = Of(weight->second).column_factors;
    if (factors.empty()) continue;
    const auto known = channels.find(input.module);
    if (known == channels.end() || known->second.size() != factors.size()) {
      throw Error(ErrorCode::kNotCalibrated, store_.run_dir().string(),
                  fmt::format("nothing is known of the input channels of {}", input.module),
                  kAgain);
    }
    input.amax = 0;
    for (size_t i = 0; i < factors.size(); ++i) {
      input.amax = std::max(input.amax, known->second[i] / factors[i]);
    }
  }
  return inputs;
}

std::string Folds::Bytes() const {
  std::string bytes;
  for (const std::vector<float>& scales : scales_) {
    bytes.append(reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(float));
  }
  return bytes;
}

int64_t Folds::CountUsed() const {
  return std::ranges::count_if(scales_, [](const auto& scales) { return !scales.empty(); });
}

}  // namespace vernier::exporter
