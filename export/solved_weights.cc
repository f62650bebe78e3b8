#include "export/solved_weights.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

constexpr uint64_t kBlockValues = quantizers::kNvfp4BlockSize;
constexpr const char* kAgain = "Calibrate with this recipe in another run directory";

}  // namespace

SolvedWeights::SolvedWeights(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                             const run::Store& store)
    : store_(store) {
  std::set<std::string> tried;
  Hasher hasher;
  for (run::SolvedWeight& solved : run::ListSolvedWeights(store.database())) {
    const std::string module = solved.module;
    if (!recipes::IsScaledBy(recipes::ScaleMethod::kGptq, layout, plan, module)) continue;
    tried.insert(module);
    if (solved.method != run::kGptqMethod) {
      left_.push_back({module, solved.method, solved.tokens});
    } else {
      ++by_gptq_;
    }
    if (solved.place.length == 0) continue;
    hasher.Update(fmt::format("{} {}\n", module, solved.place.hash));
    solved_.emplace(module, std::move(solved));
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

void SolvedWeights::Check(const checkpoint::LogicalWeight& weight, const run::SolvedWeight& solved,
                          float global_scale) const {
  const std::lock_guard lock(mutex_);
  if (checked_.contains(weight.module)) return;
  const std::string run_dir = store_.run_dir().string();
  if (solved.global_scale != global_scale) {
    throw Error(ErrorCode::kNotCalibrated, run_dir,
                fmt::format("{} was quantised with another global scale than it has in this plan",
                            weight.module),
                kAgain);
  }
  const auto values = static_cast<uint64_t>(weight.rows() * weight.columns());
  if (solved.place.length != values / 2 + values / kBlockValues) {
    throw Error(ErrorCode::kStoreCorrupt, run_dir,
                fmt::format("it has {} bytes of {}, which has {} values", solved.place.length,
                            weight.module, values),
                kAgain);
  }
  run::CheckSolvedWeight(store_.run_dir(), solved);
  checked_.insert(weight.module);
}

bool SolvedWeights::Read(const checkpoint::LogicalWeight& weight, float global_scale,
                         int64_t row_begin, std::span<uint8_t> codes,
                         std::span<uint8_t> scales) const {
  const auto found = solved_.find(weight.module);
  if (found == solved_.end()) return false;
  const run::SolvedWeight& solved = found->second;
  Check(weight, solved, global_scale);
  const auto values = [&](int64_t rows) { return static_cast<uint64_t>(rows * weight.columns()); };
  run::ReadValuePart(store_.run_dir(), solved.place, values(row_begin) / 2,
                     std::as_writable_bytes(codes));
  run::ReadValuePart(store_.run_dir(), solved.place,
                     values(weight.rows()) / 2 + values(row_begin) / kBlockValues,
                     std::as_writable_bytes(scales));
  return true;
}

}  // namespace vernier::exporter
