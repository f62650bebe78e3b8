#include <cmath>
#include <optional>
#include <string_view>

#include "calib/activation_format.h"
#include "jobs/eval.h"
#include "recipes/recipe_values.h"

namespace vernier::jobs {
namespace {

using calib::ActivationCount;
using calib::Divergence;
using calib::Estimate;
using calib::EvalRow;
using calib::VariantResult;
using datasets::TextSource;

constexpr std::string_view kUnquantized = "none";

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

std::string_view ChatFormatName(const EvalSummary& summary) {
  return recipes::NameOf(recipes::kChatFormats, summary.data.chat_format);
}

Json ProtocolJson(const EvalSummary& summary) {
  return {{"data", summary.FromText() ? "text" : "input_ids"},
          {"window", summary.data.window},
          {"stride", summary.data.stride},
          {"window_bos", summary.data.window_bos},
          {"chat_format", summary.FromText() ? Json(ChatFormatName(summary)) : Json()},
          {"document_bos", summary.document_bos},
          {"document_eos", summary.document_eos},
          {"windows", summary.data.tokens.samples},
          {"tokenizer", TextOrNull(summary.tokenizer)},
          {"dtype", summary.dtype},
          {"device", summary.device}};
}

Json ActivationJson(const ActivationCount& count) {
  const bool quantized = count.format != kUnquantized;
  return {{"format", count.format},
          {"modules", count.modules},
          {"emulated", quantized ? Json(count.format != calib::kNotEmulatedName) : Json()},
          {"example", count.example}};
}

}  // namespace

Json EvalJson(const EvalSummary& summary) {
  Json json = {
      {"checkpoint", summary.checkpoint},
      {"model_type", summary.model_type},
      {"reference", TextOrNull(summary.reference)},
      {"protocol", ProtocolJson(summary)},
      {"sources", Json::array()},
      {"activations", Json::array()},
      {"expert_input_scale", recipes::NameOf(kExpertInputScales, summary.expert_input_scale)},
      {"raised_scales", summary.result.raised_scales},
      {"requantised_weights", summary.result.requantised_weights},
      {"fp8_caches", summary.result.fp8_caches},
      {"nvfp4_caches", summary.result.nvfp4_caches},
      {"variants", Json::array()}};
  for (const TextSource& source : summary.data.sources) {
    json["sources"].push_back(SourceJson(source));
  }
  for (const ActivationCount& count : summary.result.activations) {
    json["activations"].push_back(ActivationJson(count));
  }
  for (const VariantResult& result : summary.result.variants) {
    json["variants"].push_back(VariantJson(result));
  }
  return json;
}

}  // namespace vernier::jobs
