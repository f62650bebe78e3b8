#include "calib/families/deepseek_v4/layer.h"

#include <string_view>

#include "calib/families/deepseek_v4/expert.h"
#include "calib/families/rms_norm.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {
namespace {

namespace names = checkpoint::deepseek_v4;

std::string InLayer(int64_t layer, std::string_view name) {
  return names::Layer(layer).append(name);
}

}  // namespace

Layer::Layer(const TensorLoader& loader, int64_t layer, const checkpoint::DeepseekV4Config& config,
             int64_t query_chunk)
    : shared_module_(names::SharedExperts(layer)),
      router_module_(names::Below(names::Ffn(layer), names::kRouter)),
      norm_eps_(config.rms_norm_eps),
      swiglu_limit_(config.swiglu_limit),
      attn_norm_(loader.LoadExact(InLayer(layer, names::kAttentionNorm) + ".weight")),
      ffn_norm_(loader.LoadExact(InLayer(layer, names::kFfnNorm) + ".weight")),
      attn_site_(loader, InLayer(layer, names::kAttentionStreams), config),
      ffn_site_(loader, InLayer(layer, names::kFfnStreams), config),
      attention_(loader, layer, config, query_chunk),
      router_(loader, layer, config) {
  if (config.n_shared_experts == 0) return;
  for (const std::string_view part : kExpertParts) {
    shared_experts_.push_back(loader.Load(names::Below(shared_module_, part) + ".weight"));
  }
}

at::Tensor Layer::Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) {
  return AttendStepwise(hidden.size(1))(hidden, batch, tap);
}

StepwiseAttention Layer::AttendStepwise(int64_t) {
  return [this, past = Attention::Past()](const at::Tensor& hidden, const TokenBatch& batch,
                                          Tap& tap) mutable {
    const StreamRead attn = attn_site_.Read(hidden);
    const at::Tensor attended =
        attention_.Forward(RmsNorm(attn.x, attn_norm_, norm_eps_), batch, past, tap);
    return WriteStreams(hidden, attended, attn.mix);
  };
}

FfnStage Layer::BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) {
  FfnStage stage;
  stage.hidden = hidden;
  const StreamRead ffn = ffn_site_.Read(stage.hidden);
  stage.mix = ffn.mix.Pack();
  stage.x = RmsNorm(ffn.x, ffn_norm_, norm_eps_).flatten(0, 1);
  stage.y = RunSharedExperts(stage.x, batch, tap);
  const LinearSite router = {
      .module = router_module_, .weight = router_.weight(), .is_router = true};
  stage.routing = router_.Route(TakeInput(tap, router, batch, stage.x), batch.ids.reshape({-1}));
  return stage;
}

at::Tensor Layer::Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& mix) {
  return WriteStreams(hidden, y, StreamMix::Unpack(mix, hidden.size(2)));
}

at::Tensor Layer::RunSharedExperts(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const {
  if (shared_experts_.empty()) return at::zeros(x.sizes(), x.options().dtype(at::kFloat));
  return RunSwiglu(x, shared_experts_, swiglu_limit_, shared_module_, batch, tap).to(at::kFloat);
}

}  // namespace vernier::calib::deepseek_v4
