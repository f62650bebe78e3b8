#include "report/model_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "checkpoint/checkpoint_files.h"
#include "recipes/plan_summary.h"
#include "recipes/recipe_values.h"
#include "recipes/target_format.h"
#include "report/card_front_matter.h"
#include "report/card_serving.h"

namespace vernier::report {
namespace {

namespace fs = std::filesystem;

// Of the source's own card; empty without one.
std::string SourceCard(const CardContent& content) {
  const fs::path path = content.source.checkpoint.directory() / checkpoint::kModelCardFileName;
  return fs::is_regular_file(path) ? ReadWholeFile(path) : std::string();
}

std::vector<std::string> QuantisedFormats(const CardContent& content) {
  std::vector<std::string> names;
  for (const recipes::WeightPlan& weight : content.plan.weights) {
    if (!recipes::IsQuantised(weight.format)) continue;
    const std::string name(recipes::TargetFormatName(weight.format));
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::string UpperCase(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::toupper(letter));
  return text;
}

std::string FrontMatter(const CardContent& content, const std::string& source_card) {
  const std::vector<std::string> formats = QuantisedFormats(content);
  std::string text = fmt::format("---\nbase_model: {}\n",
                                 Json(ModelName(content.source.checkpoint.directory())).dump());
  if (!formats.empty()) text += "base_model_relation: quantized\n";
  text += CarriedFrontMatter(source_card) + "tags:\n- vernier\n";
  for (const std::string& format : formats) text += fmt::format("- {}\n", format);
  return text + "---\n\n";
}

std::string Title(const CardContent& content) {
  const std::vector<std::string> formats = QuantisedFormats(content);
  const std::string what = formats.empty() ? "with its weights dequantised or as they were"
                                           : "quantised to " + JoinNames(formats);
  return fmt::format("# {}\n\n{}, {}, in the dialect of {}. Made by Vernier {}{}.\n\n",
                     OutputName(content), ModelName(content.source.checkpoint.directory()), what,
                     content.plan.dialect->name, content.version,
                     content.commit.empty() ? "" : " (" + content.commit + ")");
}

std::string WeightsSection(const CardContent& content) {
  std::string text =
      "## Weights\n\n| role | what became of it | weights | before | after |\n"
      "|---|---|---:|---:|---:|\n";
  const recipes::PlanSummary summary = recipes::SummarizePlan(content.source, content.plan);
  for (const recipes::RoleSummary& row : summary.rows) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", checkpoint::RoleName(row.role), row.action,
                        HumanCount(row.weights), HumanBytes(row.totals.source_bytes),
                        HumanBytes(row.totals.output_bytes));
  }
  text += fmt::format("| all | | | {} | {} |\n\n", HumanBytes(summary.totals.source_bytes),
                      HumanBytes(summary.totals.output_bytes));
  if (content.plan.kv_cache != recipes::KvCache::kNone) {
    text += fmt::format("Key/value cache: {}.\n\n", recipes::KvCacheName(content.plan.kv_cache));
  }
  return text + "What became of every tensor stands in `vernier_manifest.json`.\n\n";
}

std::string DataNames(const recipes::Recipe& recipe) {
  std::vector<std::string> names;
  for (const datasets::DataSource& source : recipe.calibration.data.sources) {
    names.push_back("`" + source.path.filename().string() + "`");
  }
  return JoinNames(names);
}

// "1", "1, 0.5": of weights whose input scale a recipe gives.
std::string ConstantScales(const recipes::Plan& plan) {
  std::set<float> constants;
  for (const recipes::WeightPlan& weight : plan.weights) {
    const bool constant = weight.input_scales.from == recipes::ActivationScales::kConstant;
    if (constant && weight.HasInputScale()) constants.insert(weight.input_scales.constant);
  }
  std::vector<std::string> texts;
  for (const float constant : constants) texts.push_back(fmt::format("{:g}", constant));
  return JoinNames(texts);
}

std::string UncalibratedText(const recipes::Recipe& recipe, const recipes::Plan& plan) {
  std::string text = "scales of weights follow from the weights";
  if (!recipe.importance.empty()) {
    text += fmt::format(" and from `{}`", recipe.importance.filename().string());
  }
  const std::string constants = ConstantScales(plan);
  if (constants.empty()) return text;
  return text + "; input scales, where a format has them, are " + constants;
}

std::string CalibrationSection(const CardContent& content) {
  if (content.plan.observed_modules.empty()) {
    return "## Calibration\n\nNone: " + UncalibratedText(content.recipe, content.plan) + ".\n\n";
  }
  const datasets::CalibrationSpec& data = content.recipe.calibration.data;
  std::string text = fmt::format("## Calibration\n\n{} sequences of {} tokens from {}, effort {}",
                                 HumanCount(data.samples), HumanCount(data.sequence_length),
                                 DataNames(content.recipe),
                                 recipes::NameOf(recipes::kEfforts, content.recipe.effort));
  if (!content.tokens.empty()) text += fmt::format(" (token ids: XXH3-128 `{}`)", content.tokens);
  return text + ".\n\n";
}

std::string NumberOrDash(const std::optional<double>& value) {
  return value ? fmt::format("{:.5g}", *value) : "–";
}

std::string EvaluationTable(const CardEvaluation& evaluation) {
  std::string text =
      "| | perplexity | mean KL divergence | same top token |\n|---|---:|---:|---:|\n";
  for (const CardScore& score : evaluation.scores) {
    text += fmt::format("| {} | {:.5g} | {} | {} |\n", score.variant, score.perplexity,
                        NumberOrDash(score.mean_kl), NumberOrDash(score.same_top));
  }
  return text;
}

std::string EvaluationText(const CardEvaluation& evaluation) {
  std::vector<std::string> data;
  for (size_t i = 0; i < evaluation.data.size(); ++i) {
    data.push_back(
        fmt::format("`{}` (ids: XXH3-128 `{}`)", evaluation.data[i], evaluation.hashes[i]));
  }
  return fmt::format(
      "{}\n{} tokens in windows of {} of {}, computed in {}; divergence in nats from the "
      "source.\n\n",
      EvaluationTable(evaluation), HumanCount(static_cast<uint64_t>(evaluation.scored)),
      evaluation.window, JoinNames(data), evaluation.dtype);
}

std::string WeightErrors(const audit::AuditReport& report) {
  if (report.role_errors.empty()) return {};
  std::string text = "| weights of | relative error |\n|---|---:|\n";
  for (const audit::RoleError& error : report.role_errors) {
    text += fmt::format("| {} | {:.4f} |\n", checkpoint::RoleName(error.role),
                        error.statistics.RelativeError());
  }
  return text + "\n";
}

std::string AccuracySection(const CardContent& content) {
  std::string text;
  if (content.evaluation) text += EvaluationText(*content.evaluation);
  if (content.audit != nullptr) text += WeightErrors(*content.audit);
  return text.empty() ? text : "## Accuracy\n\n" + text;
}

std::string VerdictText(const CardContent& content, const audit::EngineVerdict& verdict) {
  if (!verdict.refusal.empty()) return "refuses it: " + verdict.refusal;
  return LoadsOutput(content, verdict.engine) ? "loads it" : "do not serve it there: see below";
}

std::string EnginesSection(const CardContent& content) {
  if (content.plan.container->holds_all()) return {};  // that the audit knows
  if (content.audit == nullptr) {
    return "## Engines\n\nNot audited: `vernier validate` tells what engines make of it.\n\n";
  }
  std::string text =
      "## Engines\n\n| engine | release | reads it as | verdict |\n|---|---|---|---|\n";
  for (const audit::EngineVerdict& verdict : content.audit->engines) {
    text += fmt::format("| {} | {} | {} | {} |\n", audit::EngineName(verdict.engine),
                        verdict.release.empty() ? "–" : verdict.release, verdict.path,
                        VerdictText(content, verdict));
  }
  text += "\nBy the audit of `vernier validate`, which follows the engines' own loading code.\n\n";
  for (const audit::Finding& finding : content.audit->findings) {
    if (finding.severity == audit::Severity::kInfo) continue;
    text += fmt::format("- {} ({}): {}. {}.\n", finding.rule, finding.engines.Names(), finding.what,
                        finding.remedy);
  }
  return text + (text.ends_with("\n\n") ? "" : "\n");
}

std::string LicenceSection(const CardContent& content, const std::string& source_card) {
  std::string licence = FrontMatterValue(source_card, "license");
  const std::string name = FrontMatterValue(source_card, "license_name");
  if (licence == "other" && !name.empty()) licence = name;
  std::string text = "## Licence\n\nThat of the released model";
  if (!licence.empty()) text += ": " + licence;
  const bool carried = !content.plan.container->holds_all();
  return text + (carried ? "; its files are carried over.\n" : ", whose files are not in here.\n");
}

}  // namespace

std::string ModelName(const fs::path& directory) {
  constexpr std::string_view kCached = "models--";
  const fs::path absolute = fs::absolute(directory).lexically_normal();
  for (const fs::path& part : absolute) {
    std::string name = part.string();
    if (!name.starts_with(kCached)) continue;
    name.erase(0, kCached.size());
    const size_t bar = name.find("--");
    return bar == std::string::npos ? name : name.replace(bar, 2, "/");
  }
  return absolute.has_filename() ? absolute.filename().string()
                                 : absolute.parent_path().filename().string();
}

std::string OutputName(const CardContent& content) {
  std::string name = ModelName(content.source.checkpoint.directory());
  name.erase(0, name.rfind('/') + 1);  // without its organisation
  const std::vector<std::string> formats = QuantisedFormats(content);
  for (const std::string& format : formats) name += "-" + UpperCase(format);
  return formats.empty() ? name + "-BF16" : name;
}

std::string ModelCard(const CardContent& content) {
  const std::string source_card = SourceCard(content);
  return FrontMatter(content, source_card) + Title(content) + WeightsSection(content) +
         CalibrationSection(content) + AccuracySection(content) + ServingSection(content) +
         HardwareSection(content) + EnginesSection(content) + LicenceSection(content, source_card);
}

}  // namespace vernier::report
