#include "tools/eval_text.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "calib/activation_format.h"
#include "recipes/recipe_values.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

using calib::ActivationCount;
using calib::Divergence;
using calib::EvalRow;
using calib::Likelihood;
using calib::VariantResult;
using datasets::TextSource;
using jobs::EvalSummary;

constexpr std::string_view kUnquantized = "none";
constexpr std::string_view kAllSources = "all";
constexpr double kPercent = 100;

std::string_view DocumentEnds(const EvalSummary& summary) {
  if (summary.document_bos) {
    return summary.document_eos ? "BOS before and EOS behind each" : "BOS before each";
  }
  return summary.document_eos ? "EOS behind each" : "nothing between them";
}

std::string_view ChatFormatName(const EvalSummary& summary) {
  return recipes::NameOf(recipes::kChatFormats, summary.data.chat_format);
}

// "50,000", "0.0123"
std::string Count(int64_t count) { return HumanCount(static_cast<uint64_t>(count)); }
std::string Digits(double value) { return fmt::format("{:.6f}", value); }
std::string Percent(double share) { return fmt::format("{:.3f} %", kPercent * share); }
std::string StandardError(double error) { return std::isfinite(error) ? Digits(error) : "?"; }

std::string ProtocolText(const EvalSummary& summary) {
  std::string text = fmt::format("{} ({})", summary.checkpoint, summary.model_type);
  if (!summary.reference.empty()) text += " against " + summary.reference;
  text += fmt::format("\n{} on {}; ", summary.dtype, summary.device);
  if (!summary.FromText()) {
    return text + fmt::format(
                      "rows of ready ids as {} windows of {} tokens, all but the first of "
                      "each scored\n",
                      summary.data.tokens.samples, summary.data.window);
  }
  return text + fmt::format(
                    "{} windows of {} tokens{}, one every {} tokens of text; each token is scored "
                    "once, in the first window that holds it{}\n"
                    "documents joined in order, {}; chats in the format {}; tokenizer {}\n",
                    summary.data.tokens.samples, summary.data.window,
                    summary.data.window_bos ? ", each beginning with BOS" : "", summary.data.stride,
                    summary.data.window_bos ? "" : ", but for a window's first",
                    DocumentEnds(summary), ChatFormatName(summary), summary.tokenizer);
}

std::string SourcesText(const EvalSummary& summary) {
  std::vector<std::vector<std::string>> rows;
  for (const TextSource& source : summary.data.sources) {
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
std::vector<Cells> RowsOf(const EvalSummary& summary,
                          const std::function<Cells(const EvalRow&)>& cells_of) {
  std::vector<Cells> rows;
  const auto add = [&](const VariantResult& result, const EvalRow& row, std::string_view source) {
    const Cells cells = cells_of(row);
    if (cells.empty()) return;
    rows.push_back({std::string(calib::EvalVariantName(result.variant)), std::string(source)});
    rows.back().insert(rows.back().end(), cells.begin(), cells.end());
  };
  for (const VariantResult& result : summary.result.variants) {
    for (const EvalRow& row : result.sources) add(result, row, row.source);
    if (result.sources.size() > 1) add(result, result.total, kAllSources);
  }
  return rows;
}

std::string PerplexityText(const EvalSummary& summary) {
  const auto cells = [](const EvalRow& row) -> Cells {
    const Likelihood& likelihood = row.likelihood;
    Cells result = {Count(likelihood.tokens), Digits(likelihood.perplexity.value),
                    StandardError(likelihood.perplexity.standard_error),
                    Digits(likelihood.nll.value)};
    if (row.divergence) {
      result.push_back(Digits(row.divergence->perplexity_ratio.value));
      result.push_back(StandardError(row.divergence->perplexity_ratio.standard_error));
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
                     RowsOf(summary, cells));
}

std::string DivergenceText(const EvalSummary& summary) {
  const auto cells = [](const EvalRow& row) -> Cells {
    if (!row.divergence) return {};
    const Divergence& found = *row.divergence;
    return {Digits(found.mean_kl.value),  StandardError(found.mean_kl.standard_error),
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
                     RowsOf(summary, cells));
}

std::string ActivationsText(const EvalSummary& summary) {
  std::vector<std::string> emulated;
  std::string not_emulated;
  for (const ActivationCount& count : summary.result.activations) {
    if (count.format == calib::kNotEmulatedName) {
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
  if (summary.result.requantised_weights > 0) {
    text = fmt::format(
        "FP8: {} parts of fused matrices are rounded again to the largest of their scales, as "
        "engines do.\n",
        Count(summary.result.requantised_weights));
  }
  if (!emulated.empty()) {
    text += fmt::format("Inputs of linear layers: {}.\n", JoinNames(emulated));
  }
  if (summary.result.raised_scales > 0) {
    text += fmt::format(
        "Experts: {} linear layers have the largest input scale of their layer's experts instead "
        "of their own (--expert-input-scale).\n",
        Count(summary.result.raised_scales));
  }
  const calib::EvalResult& result = summary.result;
  if (const int64_t caches = result.fp8_caches + result.nvfp4_caches; caches > 0) {
    text += fmt::format("Key/value cache: {}, {} vectors a token.\n",
                        result.nvfp4_caches > 0 ? "NVFP4" : "FP8", Count(caches));
  }
  return text + not_emulated;
}

}  // namespace

std::string EvalText(const EvalSummary& summary) {
  std::string text = ProtocolText(summary) + SourcesText(summary) + "\n" + PerplexityText(summary);
  if (!summary.reference.empty()) text += "\n" + DivergenceText(summary);
  return text + ActivationsText(summary);
}

}  // namespace vernier::tools
