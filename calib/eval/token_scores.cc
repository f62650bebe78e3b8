#include "calib/eval/token_scores.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"

namespace vernier::calib {
namespace {

// Of F32 logits at once, of one model.
constexpr int64_t kLogitBytes = int64_t{64} << 20;
// Logits whose F64 temporaries exist at once.
constexpr int64_t kScoredLogits = int64_t{1} << 20;

template <typename T>
void AppendTo(std::vector<T>* values, const at::Tensor& more) {
  const at::Tensor host = more.to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
  values->insert(values->end(), host.data_ptr<T>(), host.data_ptr<T>() + host.numel());
}

// The same for few enough rows.
void AppendScores(const at::Tensor& logits, const at::Tensor& reference, const at::Tensor& targets,
                  TokenScores* scores) {
  const at::Tensor log_q = at::log_softmax(logits, -1, at::kDouble);
  AppendTo(&scores->nll, log_q.gather(-1, targets.unsqueeze(-1)).squeeze(-1).neg());
  if (!reference.defined()) return;
  const at::Tensor log_p = at::log_softmax(reference, -1, at::kDouble);
  // What rounding leaves below 0 is 0.
  AppendTo(&scores->kl, (log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0));
  AppendTo(&scores->same_top, logits.argmax(-1).eq(reference.argmax(-1)));
}

void Append(const TokenScores& more, TokenScores* all) {
  all->nll.insert(all->nll.end(), more.nll.begin(), more.nll.end());
  all->kl.insert(all->kl.end(), more.kl.begin(), more.kl.end());
  all->same_top.insert(all->same_top.end(), more.same_top.begin(), more.same_top.end());
}

// Positions of a window whose next token is scored, and those tokens: I64, on the host.
struct ScoredPositions {
  at::Tensor positions, targets;
};

ScoredPositions PositionsOf(const datasets::EvaluationSet& data, int64_t window) {
  const int64_t length = data.tokens.sequence_length;
  std::vector<int64_t> positions, targets;
  for (int64_t t = 1; t < length; ++t) {
    const auto at = static_cast<size_t>(window * length + t);
    if (data.scored[at] == 0) continue;
    positions.push_back(t - 1);
    targets.push_back(data.tokens.ids[at]);
  }
  return {at::tensor(positions, at::kLong), at::tensor(targets, at::kLong)};
}

// A model's logits, window by window. Its head stays loaded.
class Logits {
 public:
  Logits(const FinalStates& states, at::Device device)
      : states_(states), device_(device), head_(states.decoder.LoadHead()) {}

  void MoveTo(int64_t window) { hidden_ = states_.hidden.Get(window, 1).to(device_); }

  // [rows, V] behind `positions` of the window.
  at::Tensor At(const at::Tensor& positions) const {
    return head_->Logits(hidden_.index_select(1, positions)).squeeze(0);
  }

 private:
  const FinalStates& states_;
  at::Device device_;
  std::unique_ptr<Head> head_;
  at::Tensor hidden_;  // [1, S, ...]
};

void RequireFinite(const TokenScores& scores, int64_t window) {
  const auto finite = [](float value) { return std::isfinite(value); };
  if (std::ranges::all_of(scores.nll, finite) && std::ranges::all_of(scores.kl, finite)) return;
  throw Error(ErrorCode::kBadActivation, "logits",
              fmt::format("are NaN or infinite in window {}", window),
              "Check the checkpoint with `vernier validate`");
}

}  // namespace

TokenScores ScoreLogits(const at::Tensor& logits, const at::Tensor& reference,
                        const at::Tensor& targets) {
  TokenScores scores;
  const int64_t step = std::max<int64_t>(1, kScoredLogits / logits.size(-1));
  for (int64_t first = 0; first < logits.size(0); first += step) {
    const int64_t count = std::min(step, logits.size(0) - first);
    const at::Tensor beside =
        reference.defined() ? reference.narrow(0, first, count) : at::Tensor();
    AppendScores(logits.narrow(0, first, count), beside, targets.narrow(0, first, count), &scores);
  }
  return scores;
}

TokenScores ScoreTokens(const datasets::EvaluationSet& data, at::Device device,
                        const FinalStates& model, const FinalStates* reference,
                        const std::function<void(int64_t)>& window_done) {
  const c10::InferenceMode inference;
  const int64_t logit_row = model.decoder.VocabSize() * static_cast<int64_t>(sizeof(float));
  const int64_t step = std::max<int64_t>(1, kLogitBytes / logit_row);
  Logits logits(model, device);
  std::optional<Logits> reference_logits;
  if (reference != nullptr) reference_logits.emplace(*reference, device);
  TokenScores all;
  for (int64_t window = 0; window < data.tokens.samples; ++window) {
    const auto [positions, targets] = PositionsOf(data, window);
    logits.MoveTo(window);
    if (reference_logits) reference_logits->MoveTo(window);
    for (int64_t first = 0; first < positions.size(0); first += step) {
      const int64_t count = std::min(step, positions.size(0) - first);
      const at::Tensor rows = positions.narrow(0, first, count).to(device);
      const TokenScores scores =
          ScoreLogits(logits.At(rows), reference_logits ? reference_logits->At(rows) : at::Tensor(),
                      targets.narrow(0, first, count).to(device));
      RequireFinite(scores, window);
      Append(scores, &all);
    }
    window_done(window + 1);
  }
  return all;
}

}  // namespace vernier::calib
