#include "export/solved_weights.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace vernier::exporter {
namespace {

constexpr const char* kAgain = "Calibrate with this recipe in another run directory";

}  // namespace

SolvedWeights::SolvedWeights(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                             const run::Store& store)
    : store_(store) {
  std::set<std::string> tried;
  Hasher hasher;
  for (run::SolvedKey& key : run::ListSolvedWeights(store.database())) {
    const std::string module = key.weight.module;
    if (!recipes::IsScaledBy(recipes::ScaleMethod::kGptq, layout, plan, module)) continue;
    tried.insert(module);
    if (key.place.length == 0) continue;
    hasher.Update(fmt::format("{} {}\n", module, key.place.hash));
    solved_.emplace(module, std::move(key));
  }
  if (!solved_.empty()) hash_ = hasher.Hex();
  for (const std::string& module : plan.observed_modules) {
    if (!recipes::IsScaledBy(recipes::ScaleMethod::kGptq, layout, plan, module)) continue;
    if (tried.contains(module)) continue;
    throw Error(
        ErrorCode::kNotCalibrated, store.run_dir().string(),
        fmt::format("{} is to be quantised by gptq, which this calibration did not do", module),
        kAgain);
  }
}

std::vector<std::byte> SolvedWeights::Of(const checkpoint::LogicalWeight& weight,
                                         float global_scale) const {
  const auto found = solved_.find(weight.module);
  if (found == solved_.end()) return {};
  const run::SolvedKey& key = found->second;
  if (key.weight.global_scale != global_scale) {
    throw Error(ErrorCode::kNotCalibrated, store_.run_dir().string(),
                fmt::format("{} was quantised with another global scale than it has in this plan",
                            weight.module),
                kAgain);
  }
  std::vector<std::byte> bytes = run::ReadSolvedWeight(store_, key);
  const auto values = static_cast<size_t>(weight.rows() * weight.columns());
  if (bytes.size() == values / 2 + values / 16) return bytes;
  throw Error(ErrorCode::kStoreCorrupt, store_.run_dir().string(),
              fmt::format("it has {} bytes of {}, which has {} values", bytes.size(), weight.module,
                          values),
              kAgain);
}

}  // namespace vernier::exporter
