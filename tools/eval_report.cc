#include "tools/eval_report.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "recipes/recipe_values.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

using calib::ActivationCount;
using calib::Divergence;
using calib::Estimate;
using calib::EvalRow;
using calib::EvalVariant;
using calib::Likelihood;
using calib::VariantResult;
using datasets::TextSource;

constexpr std::string_view kNotEmulated = "not-emulated";
constexpr std::string_view kUnquantized = "none";
constexpr std::string_view kAllSources = "all";
constexpr double kPercent = 100;

bool HasText(const EvalReport& report) { return !report.tokenizer.empty(); }

// Infinities become null.
Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json EstimateJson(const Estimate& estimate) {
  return {{"value", Number(estimate.value)}, {"standard_error", Number(estimate.standard_error)}};
}

Json DivergenceJson(const std::optional<Divergence>& divergence) {
  if (!divergence) return nullptr;
  return {{"mean_kl", EstimateJson(divergence->mean_kl)},
          {"median_kl", Number(divergence->median_kl)},
          {"kl_90", Number(divergence->p90_kl)},
          {"kl_95", Number(divergence->p95_kl)},
          {"kl_99", Number(divergence->p99_kl)},
          {"kl_99.9", Number(divergence->p999_kl)},
          {"max_kl", Number(divergence->max_kl)},
          {"same_top", EstimateJson(divergence->same_top)},
          {"perplexity_ratio", EstimateJson(divergence->perplexity_ratio)},
          {"mean_delta_p", EstimateJson(divergence->delta_p)},
          {"rms_delta_p", Number(divergence->rms_delta_p)}};
}

Json RowJson(const EvalRow& row) {
  return {{"source", row.source.empty() ? Json() : Json(row.source)},
          {"scored", row.likelihood.tokens},
          {"perplexity", EstimateJson(row.likelihood.perplexity)},
          {"mean_nll", EstimateJson(row.likelihood.nll)},
          {"divergence", DivergenceJson(row.divergence)}};
}

Json VariantJson(const VariantResult& result) {
  Json json = {{"variant", calib::EvalVariantName(result.variant)},
               {"seconds", result.seconds},
               {"total", RowJson(result.total)},
               {"sources", Json::array()}};
  for (const EvalRow& row : result.sources) json["sources"].push_back(RowJson(row));
  return json;
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json SourceJson(const TextSource& source) {
  return {{"name", source.name},
          {"documents", source.documents > 0 ? Json(source.documents) : Json()},
          {"windows", source.windows},
          {"tokens", source.tokens},
          {"scored", source.scored},
          {"text_xxh3_128", TextOrNull(source.text_hash)},
          {"ids_xxh3_128", source.ids_hash}};
}

std::string_view DocumentEnds(const EvalReport& report) {
  if (report.document_bos) {
    return report.document_eos ? "BOS before and EOS behind each" : "BOS before each";
  }
  return report.document_eos ? "EOS behind each" : "nothing between them";
}

std::string_view ChatFormatName(const EvalReport& report) {
  return recipes::NameOf(recipes::kChatFormats, report.data.chat_format);
}

Json ProtocolJson(const EvalReport& report) {
  return {{"data", HasText(report) ? "text" : "input_ids"},
          {"window", report.data.window},
          {"stride", report.data.stride},
          {"window_bos", report.data.window_bos},
          {"chat_format", HasText(report) ? Json(ChatFormatName(report)) : Json()},
          {"document_bos", report.document_bos},
          {"document_eos", report.document_eos},
          {"windows", report.data.tokens.samples},
          {"tokenizer", TextOrNull(report.tokenizer)},
          {"dtype", report.dtype},
          {"device", report.device}};
}

Json ActivationJson(const ActivationCount& count) {
  const bool quantized = count.format != kUnquantized;
  return {{"format", count.format},
          {"modules", count.modules},
          {"emulated", quantized ? Json(count.format != kNotEmulated) : Json()},
          {"example", count.example}};
}

// "50,000", "0.0123"
std::string Count(int64_t count) { return HumanCount(static_cast<uint64_t>(count)); }
std::string Digits(double value) { return fmt::format("{:.6f}", value); }
std::string Percent(double share) { return fmt::format("{:.3f} %", kPercent * share); }
std::string Error(double error) { return std::isfinite(error) ? Digits(error) : "?"; }

std::string ProtocolText(const EvalReport& report) {
  std::string text = fmt::format("{} ({})", report.checkpoint, report.model_type);
  if (!report.reference.empty()) text += " against " + report.reference;
  text += fmt::format("\n{} on {}; ", report.dtype, report.device);
  if (!HasText(report)) {
    return text + fmt::format(
                      "rows of ready ids as {} windows of {} tokens, all but the first of "
                      "each scored\n",
                      report.data.tokens.samples, report.data.window);
  }
  return text + fmt::format(
                    "{} windows of {} tokens{}, one every {} tokens of text; each token is scored "
                    "once, in the first window that holds it{}\n"
                    "documents joined in order, {}; chats in the format {}; tokenizer {}\n",
                    report.data.tokens.samples, report.data.window,
                    report.data.window_bos ? ", each beginning with BOS" : "", report.data.stride,
                    report.data.window_bos ? "" : ", but for a window's first",
                    DocumentEnds(report), ChatFormatName(report), report.tokenizer);
}

std::string SourcesText(const EvalReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const TextSource& source : report.data.sources) {
    rows.push_back({source.name, source.documents > 0 ? Count(source.documents) : "-",
                    Count(source.windows), Count(source.tokens), Count(source.scored),
                    source.text_hash.empty() ? "-" : source.text_hash, source.ids_hash});
  }
  return FormatTable({{"source"},
                      {"documents", true},
                      {"windows", true},
                      {"tokens", true},
                      {"scored", true},
                      {"XXH3 of the text"},
                      {"XXH3 of the ids"}},
                     rows);
}

using Cells = std::vector<std::string>;

// A line for each source of each variant, and one for all where there are several; those without
// cells are left out.
std::vector<Cells> RowsOf(const EvalReport& report,
                          const std::function<Cells(const EvalRow&)>& cells_of) {
  std::vector<Cells> rows;
  const auto add = [&](const VariantResult& result, const EvalRow& row, std::string_view source) {
    const Cells cells = cells_of(row);
    if (cells.empty()) return;
    rows.push_back({std::string(calib::EvalVariantName(result.variant)), std::string(source)});
    rows.back().insert(rows.back().end(), cells.begin(), cells.end());
  };
  for (const VariantResult& result : report.result.variants) {
    for (const EvalRow& row : result.sources) add(result, row, row.source);
    if (result.sources.size() > 1) add(result, result.total, kAllSources);
  }
  return rows;
}

std::string PerplexityText(const EvalReport& report) {
  const auto cells = [](const EvalRow& row) -> Cells {
    const Likelihood& likelihood = row.likelihood;
    Cells result = {Count(likelihood.tokens), Digits(likelihood.perplexity.value),
                    Error(likelihood.perplexity.standard_error), Digits(likelihood.nll.value)};
    if (row.divergence) {
      result.push_back(Digits(row.divergence->perplexity_ratio.value));
      result.push_back(Error(row.divergence->perplexity_ratio.standard_error));
    } else {
      result.insert(result.end(), {"-", "-"});
    }
    return result;
  };
  return FormatTable({{"variant"},
                      {"source"},
                      {"scored", true},
                      {"PPL", true},
                      {"+-", true},
                      {"mean NLL", true},
                      {"PPL / reference", true},
                      {"+-", true}},
                     RowsOf(report, cells));
}

std::string DivergenceText(const EvalReport& report) {
  const auto cells = [](const EvalRow& row) -> Cells {
    if (!row.divergence) return {};
    const Divergence& found = *row.divergence;
    return {Digits(found.mean_kl.value),  Error(found.mean_kl.standard_error),
            Digits(found.median_kl),      Digits(found.p90_kl),
            Digits(found.p99_kl),         Digits(found.p999_kl),
            Digits(found.max_kl),         Percent(found.same_top.value),
            Percent(found.delta_p.value), Percent(found.rms_delta_p)};
  };
  return FormatTable({{"variant"},
                      {"source"},
                      {"mean KLD", true},
                      {"+-", true},
                      {"median", true},
                      {"90 %", true},
                      {"99 %", true},
                      {"99.9 %", true},
                      {"maximum", true},
                      {"same top p", true},
                      {"mean dp", true},
                      {"RMS dp", true}},
                     RowsOf(report, cells));
}

std::string ActivationsText(const EvalReport& report) {
  std::vector<std::string> emulated;
  std::string not_emulated;
  for (const ActivationCount& count : report.result.activations) {
    if (count.format == kNotEmulated) {
      not_emulated = fmt::format(
          "Not emulated: the activations of {} linear layers, {} among them; their inputs are "
          "taken as they are.\n",
          Count(count.modules), count.example);
    } else if (count.format == kUnquantized) {
      emulated.push_back(fmt::format("{} not quantised", Count(count.modules)));
    } else {
      emulated.push_back(fmt::format("{} {}", Count(count.modules), count.format));
    }
  }
  std::string text;
  if (!emulated.empty()) {
    text = fmt::format("Inputs of linear layers: {}.\n", JoinNames(emulated));
  }
  if (report.result.fp8_caches > 0) {
    text +=
        fmt::format("Key/value cache: FP8, {} vectors a token.\n", Count(report.result.fp8_caches));
  }
  return text + not_emulated;
}

}  // namespace

Json EvalJson(const EvalReport& report) {
  Json json = {{"checkpoint", report.checkpoint},
               {"model_type", report.model_type},
               {"reference", TextOrNull(report.reference)},
               {"protocol", ProtocolJson(report)},
               {"sources", Json::array()},
               {"activations", Json::array()},
               {"fp8_caches", report.result.fp8_caches},
               {"variants", Json::array()}};
  for (const TextSource& source : report.data.sources) {
    json["sources"].push_back(SourceJson(source));
  }
  for (const ActivationCount& count : report.result.activations) {
    json["activations"].push_back(ActivationJson(count));
  }
  for (const VariantResult& result : report.result.variants) {
    json["variants"].push_back(VariantJson(result));
  }
  return json;
}

std::string EvalText(const EvalReport& report) {
  std::string text = ProtocolText(report) + SourcesText(report) + "\n" + PerplexityText(report);
  if (!report.reference.empty()) text += "\n" + DivergenceText(report);
  return text + ActivationsText(report);
}

}  // namespace vernier::tools
