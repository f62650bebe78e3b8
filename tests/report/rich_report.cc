#include "tests/report/rich_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "tests/report/dice.h"

namespace vernier::testing {
namespace {

using audit::Engine;
using audit::Severity;
using checkpoint::Role;
namespace formats = checkpoint::formats;

constexpr std::array kRoles = {Role::kAttention, Role::kIndexer,      Role::kCompressor,
                               Role::kDenseMlp,  Role::kSharedExpert, Role::kRoutedExpert,
                               Role::kRouter,    Role::kMtp,          Role::kLmHead};

bool HasCell(Role role, int layer, int layers) {
  switch (role) {
    case Role::kLmHead:
      return layer < 0;
    case Role::kMtp:
      return layer == 0;
    case Role::kDenseMlp:
      return layer >= 0 && layer < 3;
    case Role::kRouter:
    case Role::kRoutedExpert:
      return layer >= 3 && layer < layers;
    default:
      return layer >= 0;
  }
}

audit::ErrorStatistics RandomError(Dice& dice, int64_t weights) {
  audit::ErrorStatistics error;
  error.weights = weights;
  error.values = weights * 7168 * 2048;
  error.squared_source = static_cast<double>(error.values) * 1e-3;
  const double relative = dice.Log(2e-3, 0.3);
  error.squared_error = error.squared_source * relative * relative;
  error.exact = static_cast<int64_t>(dice.Even() * static_cast<double>(weights) / 2);
  error.saturated = static_cast<int64_t>(static_cast<double>(error.values) * dice.Log(1e-8, 1e-2));
  error.max_abs_error = dice.Log(0.01, 3);
  return error;
}

audit::ErrorStatistics ExactError(int64_t weights) {
  return {.weights = weights, .exact = weights, .values = weights * 1024, .squared_source = 1.0};
}

audit::BlockStatistics RandomBlocks(Dice& dice, int64_t weights) {
  audit::BlockStatistics blocks;
  const double centre = 8 + 3 * dice.Even();
  for (int i = 0; i < audit::BlockStatistics::kExponents; ++i) {
    const double distance = (i - centre) / 1.6;
    blocks.by_exponent[static_cast<size_t>(i)] =
        static_cast<int64_t>(static_cast<double>(weights) * 9e5 * std::exp(-distance * distance));
    blocks.blocks += blocks.by_exponent[static_cast<size_t>(i)];
  }
  blocks.at_maximum = blocks.by_exponent.back() / 7;
  blocks.zero_blocks = static_cast<int64_t>(dice.Log(1, 1e4));
  return blocks;
}

std::vector<float> RandomAmax(Dice& dice, double middle, int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(middle * dice.Log(0.4, 2.5)));
  }
  return values;
}

audit::CellStatistics MakeCell(Dice& dice, Role role, int layer, const RichOptions& options) {
  const bool experts = role == Role::kRoutedExpert;
  const int weights = experts ? 3 * options.experts : 4;
  const bool nvfp4 = role != Role::kRouter && role != Role::kLmHead && role != Role::kMtp;
  audit::CellStatistics cell;
  cell.layer = layer;
  cell.role = role;
  cell.weights = weights;
  cell.formats = {{nvfp4 ? formats::kNvfp4 : formats::kPlain, weights}};
  const bool kept = role == Role::kAttention && layer % 11 == 5;
  if (!nvfp4 || kept) return cell;
  cell.error = layer % 7 == 3 ? ExactError(weights) : RandomError(dice, weights);
  cell.blocks = RandomBlocks(dice, weights);
  cell.weight_amax = RandomAmax(dice, 0.3, std::min(weights, 24));
  cell.input_amax = RandomAmax(dice, experts ? 40 : 9 + layer / 3.0, std::min(weights, 24));
  return cell;
}

audit::Finding MakeFinding(std::string rule, Severity severity, std::string what,
                           std::vector<std::string> tensors, int64_t count) {
  return {.rule = std::move(rule),
          .severity = severity,
          .what = std::move(what),
          .tensors = std::move(tensors),
          .tensor_count = count,
          .remedy = "Write the checkpoint again from its source"};
}

std::vector<audit::Finding> MakeFindings() {
  std::vector<audit::Finding> findings = {
      MakeFinding("B02", Severity::kError, "a block scale is NaN",
                  {kHostileText, "layers.3.ffn.experts.17.w2.weight_scale"}, 41),
      MakeFinding("V07", Severity::kError, "the input scales of a fused pair differ",
                  {"layers.4.attn.wq_a: 0.5", "layers.4.attn.wkv: 0.25"}, 2),
      MakeFinding("V03", Severity::kWarning, "MTP experts are MXFP4 beside NVFP4 experts",
                  {"mtp.0.ffn.experts.0.w1"}, 1152),
      MakeFinding("C04", Severity::kInfo, "a source tensor was dropped",
                  {"layers.0.attn.wo.input_scale"}, 1)};
  findings[1].engines = {Engine::kVllm, Engine::kTensorRtLlm};
  findings[2].engines = {Engine::kSglang};
  return findings;
}

std::vector<audit::EngineVerdict> MakeEngines() {
  std::vector<audit::EngineVerdict> engines;
  for (const Engine engine : audit::kEngines) {
    audit::EngineVerdict verdict{.engine = engine,
                                 .path = "modelopt_mixed",
                                 .refusal = {},
                                 .modules = {{"nvfp4", 70272}, {"fp8_block", 412}, {"w4.a16", 3}},
                                 .disagreements = 0,
                                 .tensor_parallel = {}};
    for (const int size : {1, 2, 4})
      verdict.tensor_parallel.push_back({.size = size, .first_problem = {}});
    verdict.tensor_parallel.push_back(
        {.size = 8, .problems = 61, .first_problem = "layers.0.attn.wo: 576 columns by 8"});
    engines.push_back(verdict);
  }
  engines[2].refusal = "quant_algo \"W4A16\" is not one that it knows";
  engines[2].disagreements = 384;
  return engines;
}

std::vector<int64_t> RandomTokens(Dice& dice, int experts) {
  std::vector<int64_t> tokens;
  for (int i = 0; i < experts; ++i) {
    const bool unseen = dice.Even() < 0.01;
    tokens.push_back(unseen ? 0 : static_cast<int64_t>(dice.Log(60, 20000)));
  }
  return tokens;
}

std::vector<audit::ExpertTokens> MakeTokens(Dice& dice, const RichOptions& options) {
  std::vector<audit::ExpertTokens> layers;
  for (int layer = std::min(3, options.layers - 1); layer < options.layers; ++layer) {
    layers.push_back({.layer = layer, .tokens = RandomTokens(dice, options.experts)});
  }
  return layers;
}

std::vector<audit::ConfigChange> MakeChanges() {
  Json ignored = Json::array();
  for (int layer = 0; layer < 20; ++layer) {
    ignored.push_back("model.layers." + std::to_string(layer) + ".self_attn*");
  }
  return {{.path = "/quantization_config/quant_algo",
           .before = nullptr,
           .after = "MIXED_PRECISION",
           .reason = "NVFP4 experts beside FP8 attention"},
          {.path = "/quantization_config/ignore",
           .before = Json::array(),
           .after = std::move(ignored),
           .reason = "modules that stay as they are"},
          {.path = "/rope_scaling/factor", .before = 40, .after = 1.0 / 3, .reason = kHostileText}};
}

void AddWorst(const audit::CellStatistics& cell, audit::AuditReport& report) {
  report.worst_weights.push_back({.module = "layers." + std::to_string(cell.layer) + ".ffn.w2",
                                  .layer = cell.layer,
                                  .role = cell.role,
                                  .format = formats::kNvfp4,
                                  .error = cell.error,
                                  .zero_blocks = cell.blocks.zero_blocks});
}

// Totals by role, and the list of the worst, from the cells.
void Summarise(audit::AuditReport& report) {
  for (const Role role : kRoles) {
    audit::RoleError total{.role = role, .statistics = {}};
    for (const audit::CellStatistics& cell : report.cells) {
      if (cell.role == role) total.statistics.Merge(cell.error);
    }
    if (total.statistics.weights == 0) continue;
    report.overall_error.Merge(total.statistics);
    report.role_errors.push_back(total);
  }
  for (const audit::CellStatistics& cell : report.cells) {
    if (cell.error.squared_error > 0 && report.worst_weights.size() < 20) AddWorst(cell, report);
  }
  std::ranges::sort(report.worst_weights, std::ranges::greater(),
                    [](const auto& weight) { return weight.error.RelativeError(); });
}

}  // namespace

audit::AuditReport RichAudit(const RichOptions& options) {
  Dice dice;
  audit::AuditReport report;
  report.directory = "/models/deepseek-v4-nvfp4";
  report.source = "/models/deepseek-v4";
  report.depth = audit::AuditDepth::kFull;
  report.model_type = "deepseek_v4";
  report.dialect = "modelopt";
  report.tensors = 281345;
  report.bytes = 917'345'678'901;
  report.quantised_weights = {{formats::kNvfp4, 66816}, {formats::kFp8Block, 412}};
  report.carried_tensors = 1203;
  report.findings = MakeFindings();
  report.engines = MakeEngines();
  for (int layer = -1; layer < options.layers; ++layer) {
    for (const Role role : kRoles) {
      if (HasCell(role, layer, options.layers)) {
        report.cells.push_back(MakeCell(dice, role, layer, options));
      }
    }
  }
  Summarise(report);
  report.config_changes = MakeChanges();
  report.expert_tokens = MakeTokens(dice, options);
  return report;
}

}  // namespace vernier::testing
