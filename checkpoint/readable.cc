#include "checkpoint/readable.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/config_facts.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kOriginal =
    "Start from the model's BF16 or FP8 release, or let the tool that made this one dequantise it";
constexpr std::string_view kOfStack =
    "Start from the model's BF16 release: experts that are stacked are taken apart where the "
    "family "
    "says how they lie, and rows and blocks of scales belong to one matrix each";
constexpr size_t kMissingShown = 3;

// The part of an unnamed scheme that keeps its values from being read.
std::string_view Obstacle(std::string_view part) {
  if (part.ends_with(".pre_quant_scale")) return "inputs that are scaled first";
  if (part.ends_with(".weight_g_idx")) return "columns in another order";
  if (part.ends_with(".weight_zero_point")) return "zero points";
  return {};
}

// peft's names of what it puts around a layer.
bool IsAdapterPart(std::string_view name) {
  return name.find(".lora_A.") != std::string_view::npos || name.ends_with(".base_layer.weight");
}

// Why tensors that a family needs are not there, as far as one can tell.
std::string MissingText(const Family& family, const ModelLayout& layout, size_t shown,
                        size_t more) {
  std::string text = more > 0 ? fmt::format("and {} more are missing", more)
                              : std::string(shown == 1 ? "is missing" : "are missing");
  text += fmt::format(", which a {} needs", family.model_type());
  const auto stack = std::ranges::find_if(layout.weights, &LogicalWeight::stacks_experts);
  if (stack != layout.weights.end()) {
    text += fmt::format("; its experts are stacked in one tensor a layer ({})", stack->name);
  }
  return text;
}

}  // namespace

std::string FormatText(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  if (weight.format != formats::kOtherQuantised) {
    const std::string_view text = weight.format->text;
    return std::string(text.empty() ? weight.format->name : text);
  }
  for (const size_t part : weight.others) {
    const std::string& name = checkpoint.tensor(part).info.name;
    const std::string_view obstacle = Obstacle(name);
    if (!obstacle.empty()) return fmt::format("quantised with {} ({})", obstacle, name);
  }
  return "quantised in a scheme without a name here";
}

void RequireReadable(const Checkpoint& checkpoint, const ModelLayout& layout) {
  const std::string method = QuantMethod(checkpoint.config());
  const std::string said = method.empty() ? "" : fmt::format(" (quant_method {})", method);
  for (const LogicalWeight& weight : layout.weights) {
    if (IsAdapterPart(weight.name)) {
      throw Error(ErrorCode::kUnsupportedFormat, weight.name,
                  "belongs to an adapter that is not merged into its model",
                  "Merge it first (peft: merge_and_unload), and save the result");
    }
    if (!IsQuantised(weight.format) || IsReadable(weight.format)) continue;
    throw Error(
        ErrorCode::kUnsupportedFormat, weight.name,
        fmt::format("is {}{}, which Vernier does not read", FormatText(checkpoint, weight), said),
        weight.stacks_experts() ? kOfStack : kOriginal);
  }
  if (ReadsQuantMethod(method)) return;
  throw Error(ErrorCode::kUnsupportedFormat, "config.json",
              fmt::format("names the quant_method {}, which Vernier does not read", method),
              kOriginal);
}

void RequireComplete(const Family& family, const ModelLayout& layout) {
  std::vector<std::string> missing;
  for (std::string& name : family.RequiredTensors()) {
    if (layout.FindName(name) == nullptr) missing.push_back(std::move(name));
  }
  if (missing.empty()) return;
  const size_t more = missing.size() - std::min(missing.size(), kMissingShown);
  missing.resize(missing.size() - more);
  throw Error(ErrorCode::kMissingTensor, JoinNames(missing),
              MissingText(family, layout, missing.size(), more),
              "Fetch the whole checkpoint, or restore the names that its model has");
}

}  // namespace vernier::checkpoint
