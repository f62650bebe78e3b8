#include <string>

#include "tests/report/dice.h"
#include "tests/report/rich_report.h"

namespace vernier::testing {
namespace {

Json LayersJson(Dice& dice, const RichOptions& options) {
  Json layers = Json::array();
  for (int layer = 0; layer < options.layers; ++layer) {
    layers.push_back({{"layer", layer},
                      {"seconds", 40 + 30 * dice.Even()},
                      {"modules", 3 * options.experts},
                      {"unseen", layer % 5}});
  }
  return layers;
}

Json InputsJson(Dice& dice, const RichOptions& options) {
  Json inputs = Json::array();
  for (int layer = 0; layer < options.layers; ++layer) {
    for (const char* kind : {"routed_expert w1", "routed_expert w2"}) {
      const double middle = dice.Log(2, 40);
      inputs.push_back({{"layer", layer},
                        {"kind", kind},
                        {"count", options.experts},
                        {"min", middle / 3},
                        {"lower_quartile", middle / 1.4},
                        {"median", middle},
                        {"upper_quartile", middle * 1.3},
                        {"max", middle * 4}});
    }
  }
  return inputs;
}

}  // namespace

Json RichRun(const RichOptions& options) {
  Dice dice;
  Json tokens = Json::array();
  const audit::AuditReport rich = RichAudit(options);
  for (const audit::ExpertTokens& layer : rich.expert_tokens) {
    tokens.push_back({{"layer", layer.layer}, {"tokens", layer.tokens}});
  }
  const std::string begun = "2026-01-31T12:00:00.000Z", ended = "2026-01-31T13:02:11.250Z";
  return {{"directory", "runs/deepseek-v4"},
          {"calibration",
           {{"finished", true},
            {"total_layers", options.layers},
            {"samples", 512},
            {"sequence_length", 2048},
            {"most_tokens", 512 * 2048},
            {"statistics", options.layers * options.experts * 3},
            {"statistics_by_name",
             {{{"name", "input_amax"}, {"count", options.layers * options.experts * 3}}}},
            {"unseen", 3},
            {"unseen_modules", {"layers.5.ffn.experts.4.w1", kHostileText}},
            {"layers", LayersJson(dice, options)}}},
          {"settings", {{{"name", "samples"}, {"value", "512"}}}},
          {"phases",
           {{{"phase", "calibrate"},
             {"seconds", 3731.25},
             {"started_at", begun},
             {"ended_at", ended}}}},
          {"inputs", InputsJson(dice, options)},
          {"expert_tokens", std::move(tokens)},
          {"non_finite",
           {{"modules", 1},
            {"records",
             {{{"layer", 3},
               {"module", "layers.3.attn.wq_b"},
               {"sample", 17},
               {"value", "inf"},
               {"count", 12}}}}}},
          {"exports",
           {{{"output", "/models/deepseek-v4-nvfp4"},
             {"shards", 64},
             {"shards_done", 64},
             {"bytes", 917'345'678'901},
             {"bytes_done", 917'345'678'901},
             {"started_at", begun},
             {"finished_at", ended},
             {"audited_at", nullptr},
             {"audit_errors", nullptr}}}},
          {"commands",
           {{{"line", "cd /work && vernier run 'it'\\''s <b>.json'"},
             {"steps", "calibrate export validate"},
             {"started_at", begun},
             {"ended_at", ended},
             {"outcome", "finished"},
             {"message", ""}}}},
          {"events",
           {{{"at", ended},
             {"kind", "busy"},
             {"detail", "calibrate: NVIDIA H200 82 %, disk 40 %, processors 12 %"}}}},
          {"audit_absent", nullptr}};
}

}  // namespace vernier::testing
