#include <fmt/format.h>

#include <string>
#include <vector>

#include "checkpoint/logical_weight.h"
#include "recipes/option_rows.h"

namespace vernier::recipes {
namespace {

using Kind = ValueKind;

std::vector<std::string> RoleNames() {
  std::vector<std::string> names;
  for (int i = 0; i < checkpoint::kRoleCount; ++i) {
    names.emplace_back(checkpoint::RoleName(static_cast<checkpoint::Role>(i)));
  }
  return names;
}

// One name, or a list of them.
Json RoleSchema() {
  const Json names = RoleNames();
  const Json one = {{"type", "string"}, {"enum", names}};
  const Json list = {
      {"type", "array"}, {"minItems", 1}, {"uniqueItems", true}, {"items", {{"enum", names}}}};
  return {{"anyOf", Json::array({one, list})}};
}

void WriteRoles(const Json& value, const FieldContext&, Recipe& recipe) {
  const Json names = value.is_string() ? Json::array({value}) : value;
  for (const Json& name : names) {
    checkpoint::Role role = checkpoint::Role::kOther;
    checkpoint::RoleFromName(name.get_ref<const std::string&>(), &role);
    recipe.rules.back().roles.push_back(role);
  }
}

void WriteScale(const Json& value, const FieldContext& context, Recipe& recipe) {
  Rule& rule = recipe.rules.back();
  rule.scale = ParseScaleMethod(
      rule.format, ValueOf(kScaleMethods, value.get_ref<const std::string&>()), context.source);
}

Json ReadBudget(const Recipe& recipe) {
  const SizeBudget& budget = recipe.budget;
  if (budget.bytes > 0) return fmt::format("{}B", budget.bytes);
  return budget.given() ? ValueToJson(budget.bits) : Json();
}

void WriteBudget(const Json& value, const FieldContext& context, Recipe& recipe) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  recipe.budget = ParseSizeBudget(text, context.source);
}

// "calibrated", "none", or the constant itself.
InputScales ParseInputScales(const Json& value, const FieldContext& context) {
  if (value.is_number()) {
    return {.from = ActivationScales::kConstant,
            .constant = ParseInputScale(value.get<double>(), context.source)};
  }
  if (value == "calibrated") return {.from = ActivationScales::kCalibrated};
  if (value == "none") return {.from = ActivationScales::kNone};
  throw Error(context.source.code, context.source.subject,
              fmt::format("{} is not an allowed value", value.dump()),
              "Write \"calibrated\", \"none\" or a number");
}

void WriteActivations(const Json& value, const FieldContext& context, Recipe& recipe) {
  const InputScales scales = ParseInputScales(value, context);
  recipe.activations = scales.from;
  if (scales.from == ActivationScales::kConstant) recipe.constant_input_scale = scales.constant;
}

void WriteRuleActivations(const Json& value, const FieldContext& context, Recipe& recipe) {
  recipe.rules.back().activations = ParseInputScales(value, context);
}

void WriteLayers(const Json& value, const FieldContext& context, Recipe& recipe) {
  recipe.rules.back().layers = LayerSet::Parse(value, context.source);
}

// Numbers, and pairs of a first and a last one.
Json LayersSchema() {
  constexpr int kMost = 1 << 20;
  const Json number = {{"type", "integer"}, {"minimum", -kMost}, {"maximum", kMost}};
  const Json range = {{"type", "array"}, {"minItems", 2}, {"maxItems", 2}, {"items", number}};
  return {{"type", "array"},
          {"minItems", 1},
          {"items", {{"anyOf", Json::array({number, range})}}},
          {"examples", Json::array({Json::array({Json::array({0, 3}), -1})})}};
}

const Json& ActivationsSchema() {
  static const Json schema = {{"type", {"string", "number"}},
                              {"examples", {"calibrated", "none", 1.0}}};
  return schema;
}

}  // namespace

void AppendRuleRows(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.pointer = "/quantize",
        .kind = Kind::kEntries,
        .help = "Rules in order; the last one that matches a weight decides",
        .details = "A weight that no rule matches is kept as it is. A rule that matches no weight "
                   "is an error.",
        .field = {.required = true},
        .entries = {.clear = [](Recipe& recipe) { recipe.rules.clear(); },
                    .append = [](Recipe& recipe) { recipe.rules.emplace_back(); }},
        .schema = {{"items",
                    {{"anyOf", Json::array({{{"required", Json::array({"role"})}},
                                            {{"required", Json::array({"name"})}}})}}}}},
       {.pointer = "/quantize/*/role",
        .kind = Kind::kOther,
        .help = "Matches the weights of this role, or of any role of a list (`vernier inspect` "
                "lists them)",
        .details = "With a format that quantises and without a name, only the weights of linear "
                   "layers. A list may name roles that the model does not have, as long as it has "
                   "one of them.",
        .field = {.write = WriteRoles},
        .schema = RoleSchema()},
       {.pointer = "/quantize/*/name",
        .help =
            "Matches the weights whose module name (the tensor's name without \".weight\") fits "
            "this glob: * is any run of characters, ? is one",
        .field = Field([](auto& recipe) -> auto& { return recipe.rules.back().name_glob; }),
        .schema = {{"minLength", 1}}},
       {.pointer = "/quantize/*/layers",
        .kind = Kind::kOther,
        .help = "Matches the weights of these decoder layers alone: numbers from 0, or from the "
                "end (-1 is the last), and pairs of a first and a last one",
        .field = {.write = WriteLayers},
        .schema = LayersSchema()},
       {.pointer = "/quantize/*/format",
        .kind = Kind::kName,
        .help = "What a matched weight is stored as",
        .details = "nvfp4: E2M1 with an E4M3 scale per 16 values and a global scale; mxfp4: E2M1 "
                   "with a power of two per 32; mxfp8: E4M3 with a power of two per 32; fp8, "
                   "fp8_channel, fp8_block: E4M3 with a scale per weight, row, or block of 128 x "
                   "128 (a source in FP8 blocks keeps its own block size and scale names); int4: "
                   "symmetric integers with a scale per 128 (dialect compressed-tensors only); "
                   "q8_0: symmetric integers with an F16 scale per 32 (dialect gguf only); "
                   "bf16: dequantised, and what is not quantised stays as it is; keep: byte for "
                   "byte as in the source.",
        .names = NamesOf(FormatNames()),
        .field = Required(NamedField(
            FormatNames(), [](auto& recipe) -> auto& { return recipe.rules.back().format; }))},
       {.name = "--method",
        .pointer = "/quantize/*/scale",
        .commands = "convert",
        .kind = Kind::kName,
        .help = "How scales are chosen",
        .details =
            "max: from the largest magnitude; four_over_six (nvfp4): the better of two "
            "scales per block, by squared error; mse (nvfp4, mxfp4): the scale of smallest "
            "squared error, weighted by how much each input channel counts; "
            "local_hessian (nvfp4, calibrated inputs): the scale of smallest error of the "
            "output, by how a block's 16 inputs go together; gptq (nvfp4, calibrated "
            "inputs): codes and scales that make up for each other's errors, solved in the "
            "calibration; lossless (nvfp4): the same values as an MXFP4 source; auto: for "
            "nvfp4 lossless from MXFP4, else, where inputs are calibrated, what effort says; "
            "max for all others.",
        .names = NamesOf(kScaleMethods),
        .group = kWithoutRecipe,
        .excludes = "--recipe",
        .field = {.read = [](const Recipe& recipe) -> Json {
                    return NameOf(kScaleMethods, recipe.rules.back().scale);
                  },
                  .write = WriteScale}},
       {.pointer = "/quantize/*/smooth",
        .kind = Kind::kName,
        .help = "Whether factors per channel move from the norm or layer before into the weights",
        .details =
            "auto (nvfp4; calibrated inputs; norms and routers in BF16): from a norm into all that "
            "reads it, from v_proj into o_proj, from up_proj into down_proj, each by the "
            "power of the channels' size that leaves the smallest error of the outputs; what "
            "is stored computes the same, and no engine needs to know. none: as released. effort: "
            "auto with the effort balanced or best, wherever it is possible.",
        .names = NamesOf(kSmooth),
        .field = NamedField(
            kSmooth, [](auto& recipe) -> auto& { return recipe.rules.back().smooth; })},
       {.pointer = "/quantize/*/activations",
        .kind = Kind::kOther,
        .help = "The input scales of the matched weights, where their format has them, instead of "
                "what the recipe's own activations say",
        .details = "nvfp4 with \"none\" is W4A16: engines keep the activations in 16 bits.",
        .above = 0,
        .field = {.write = WriteRuleActivations},
        .schema = ActivationsSchema()},
       {.pointer = "/quantize/*/optional",
        .kind = Kind::kFlag,
        .help = "It is no error that the rule matches no weight",
        .field = Field([](auto& recipe) -> auto& { return recipe.rules.back().optional; })},
       {.name = "--input-scale",
        .pointer = "/activations",
        .commands = "convert",
        .kind = Kind::kNumber,
        .help = "The input scales of formats that have them (nvfp4, fp8): a number is the scale of "
                "every input",
        .details =
            "In a recipe also \"calibrated\": from observed activations, the default; or "
            "\"none\": not written, for engines that quantise no activations, which is what "
            "`vernier convert` does without the option. 1.0 leaves all scaling to the blocks "
            "of NVFP4.",
        .above = 0,
        .group = kWithoutRecipe,
        .excludes = "--recipe",
        .field = {.write = WriteActivations},
        .schema = {{"type", {"string", "number"}},
                   {"default", "calibrated"},
                   {"examples", {"calibrated", "none", 1.0}}}},
       {.name = "--activation-headroom",
        .pointer = "/activation_headroom",
        .commands = kTakeRecipe,
        .kind = Kind::kNumber,
        .help = "How much more than the largest observed input the scales of calibrated inputs "
                "have room for",
        .details = "A factor. Up to 2 costs next to nothing in formats with a scale per block, and "
                   "what is served later may be larger than what was calibrated on.",
        .minimum = 1,
        .maximum = 2,
        .field = Field([](auto& recipe) -> auto& { return recipe.activation_headroom; })},
       {.name = "--effort",
        .pointer = "/effort",
        .commands = kTakeRecipe,
        .kind = Kind::kName,
        .help = "How much time may be spent on accuracy, where rules do not say it",
        .details =
            "For nvfp4 with calibrated inputs, of scales \"auto\" and smooth \"effort\". fast: "
            "the scale mse; balanced: local_hessian, and factors that move into weights "
            "(smooth); best: gptq, smooth, and layers calibrated on what the quantised "
            "layers before them pass on (propagate).",
        .names = NamesOf(kEfforts),
        .field = NamedField(
            kEfforts, [](auto& recipe) -> auto& { return recipe.effort; })},
       {.pointer = "/propagate",
        .kind = Kind::kName,
        .help = "What calibration passes on from a layer to the next",
        .details = "none: what the model computes; quantised (needs the scale gptq): what it "
                   "computes with the weights and activations that were decided, so that later "
                   "layers see the errors of earlier ones; a layer then runs twice. effort: "
                   "quantised with the effort best.",
        .names = NamesOf(kPropagate),
        .field = NamedField(
            kPropagate, [](auto& recipe) -> auto& { return recipe.propagate; })},
       {.name = "--budget",
        .pointer = "/budget",
        .commands = kTakeRecipe,
        .kind = Kind::kText,
        .help = "What weights that become nvfp4 may take, where those that lose most by it are to "
                "keep more bits: bits a weight such as 5.0, or the size of the weight files such "
                "as 24GiB",
        .details =
            "Calibration measures the error that nvfp4 and fp8 make in the output of each layer; "
            "nvfp4 or fp8 is then chosen, for all weights together that an engine fuses and for "
            "all routed experts of a layer, so that what the hidden states lose is smallest; what "
            "is left when all is fp8 goes to the released format. `vernier plan` shows the choice "
            "before anything is written. "
            "Bits count codes and scales.",
        .metavar = "BITS|SIZE",
        .above = 0,
        .maximum = 32,
        .field = {.read = ReadBudget, .write = WriteBudget},
        .schema = {{"type", {"number", "string"}}, {"examples", {5.0, "24GiB"}}}},
       {.name = "--importance",
        .pointer = "/importance",
        .commands = "convert",
        .kind = Kind::kFile,
        .help = "Safetensors file with an F32 vector of K weights per module: how much the squared "
                "error in each input channel counts for scale mse",
        .details = "Vectors are named by the module, or with .weight behind it.",
        .group = kWithoutRecipe,
        .excludes = "--recipe",
        .field = Field([](auto& recipe) -> auto& { return recipe.importance; })},
       {.name = "--non-finite",
        .pointer = "/non_finite",
        .commands = kTakeRecipe + kTakeConversion,
        .kind = Kind::kName,
        .help = "What happens when a weight or an activation is NaN or infinite",
        .details = "stop: an error that names it; clamp: NaN becomes 0 and infinity the largest "
                   "finite value, and each is recorded.",
        .names = NamesOf(kNonFinite),
        .field = NamedField(
            kNonFinite, [](auto& recipe) -> auto& { return recipe.non_finite; })}});
}

}  // namespace vernier::recipes
