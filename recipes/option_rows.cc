#include "recipes/option_rows.h"

#include <vector>

namespace vernier::recipes {
namespace {

using Kind = ValueKind;

constexpr int64_t kLargestSize = int64_t{1} << 62;

void WriteRunDirectory(const Json& value, const FieldContext& context, Recipe& recipe) {
  ValueFromJson(value, context, recipe.run_dir);
  recipe.default_run_dir = false;
}

void WriteDevice(const Json& value, const FieldContext& context, Recipe& recipe) {
  recipe.compute.device = ParseDevice(value.get<std::string>(), context.source);
}

void AppendPlaces(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.pointer = "/$schema",
        .kind = Kind::kOther,
        .help = "Where this schema is, for editors",
        .details = "Vernier always uses the schema it was built with.",
        .schema = {{"type", "string"}}},
       {.pointer = "/version",
        .kind = Kind::kOther,
        .help = "The version of the recipe format",
        .field = {.required = true},
        .schema = {{"const", 1}}},
       {.pointer = "/description",
        .help = "A sentence for people; `vernier plan` prints it",
        .field = Field([](auto& recipe) -> auto& { return recipe.description; })},
       {.pointer = "/models",
        .kind = Kind::kOther,
        .help = "The model types (model_type of config.json) that it was made for; without it, any",
        .details = "`vernier recipes` and the choice of a recipe go by it; any recipe may be used "
                   "with any model.",
        .field = Field([](auto& recipe) -> auto& { return recipe.models; }),
        .schema = {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}}},
       {.name = "--source",
        .pointer = "/source",
        .commands = kTakeRecipe,
        .kind = Kind::kDirectory,
        .help = "Directory of the released checkpoint: config.json and its safetensors shards",
        .field = Required(Field([](auto& recipe) -> auto& { return recipe.source; }))},
       {.name = "SOURCE",
        .pointer = "/source",
        .commands = kTakeConversion,
        .kind = Kind::kDirectory,
        .help = "Checkpoint to read",
        .required = true},
       {.name = "--output",
        .pointer = "/output",
        .commands = kTakeRecipe,
        .kind = Kind::kDirectory,
        .help = "Directory that export creates for the quantised checkpoint",
        .field = Required(Field([](auto& recipe) -> auto& { return recipe.output; }))},
       {.name = "OUTPUT",
        .pointer = "/output",
        .commands = kTakeRecipe,
        .kind = Kind::kDirectory,
        .help = "As --output",
        .excludes = "--output"},
       {.name = "OUTPUT",
        .pointer = "/output",
        .commands = kTakeConversion,
        .kind = Kind::kDirectory,
        .help = "Directory to write",
        .required = true},
       {.name = "--run-dir",
        .pointer = "/run_dir",
        .commands = kTakeRecipe + kTakeConversion,
        .kind = Kind::kDirectory,
        .help = "Where a run's state is kept, which the same command continues from; by default "
                "the output's name with .run",
        .details = "It holds the calibration store, activation checkpoints and the record of "
                   "finished shards.",
        .field = {.read = [](const Recipe& recipe) { return ValueToJson(recipe.run_dir); },
                  .write = WriteRunDirectory}}});
}

void AppendMachine(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.pointer = "/compute", .kind = Kind::kSection, .help = "The machine"},
       {.name = "--device",
        .pointer = "/compute/device",
        .commands = kTakeRecipe + kTakeForward,
        .kind = Kind::kDevice,
        .help = "Where layers are computed: \"cpu\", \"cuda\" or \"cuda:N\"",
        .field = {.read = [](const Recipe& recipe) -> Json { return recipe.compute.device; },
                  .write = WriteDevice},
        .schema = {{"examples", {"cpu", "cuda:0"}}}},
       {.name = "--device-memory",
        .pointer = "/compute/device_memory",
        .commands = kTakeRecipe + kTakeForward,
        .kind = Kind::kMemory,
        .help = "Memory for weights and batches on the device: a size such as 8GiB, bytes, or a "
                "share of what is free such as 70%; 0: 80%",
        .minimum = 0,
        .maximum = kLargestSize,
        .field = Field([](auto& recipe) -> auto& { return recipe.compute.device_memory; }),
        .schema = {{"examples", Json::array({"8GiB", "70%"})}}},
       {.name = "--host-memory",
        .pointer = "/compute/host_memory",
        .commands = kTakeRecipe + kTakeForward,
        .kind = Kind::kMemory,
        .help = "Host memory for the samples' hidden states, above which they go to files: a size, "
                "bytes, or a share of what is free; 0: 50%",
        .minimum = 0,
        .maximum = kLargestSize,
        .field = Field([](auto& recipe) -> auto& { return recipe.compute.host_memory; }),
        .schema = {{"examples", Json::array({"64GiB", "30%"})}}},
       {.name = "--stream-memory",
        .pointer = "/compute/stream_memory",
        .commands = kTakeRecipe + kTakeConversion,
        .kind = Kind::kSize,
        .help =
            "Memory for source and output data that an export or conversion holds at a time, such "
            "as 512MiB",
        .details = "The result does not depend on it.",
        .minimum = int64_t{16} << 20,
        .maximum = kLargestSize,
        .field = Field([](auto& recipe) -> auto& { return recipe.compute.stream_memory; }),
        .schema = {{"examples", Json::array({"1GiB"})}}},
       {.name = "--threads",
        .pointer = "/compute/threads",
        .commands = kTakeRecipe + kTakeConversion + kTakeForward,
        .kind = Kind::kInteger,
        .help = "Threads of the CPU; 0: one for each processor that the process may use",
        .details = "A forward pass takes OMP_NUM_THREADS or MKL_NUM_THREADS of the environment "
                   "before that.",
        .minimum = 0,
        .maximum = 4096,
        .field = Field([](auto& recipe) -> auto& { return recipe.compute.threads; })},
       {.name = "--cpu-products",
        .pointer = "/compute/cpu_products",
        .commands = kTakeRecipe,
        .kind = Kind::kName,
        .help = "What the linear layers of a calibration multiply on a CPU when it computes in "
                "bfloat16",
        .details = "f32: operands widened to float32, the same arithmetic on every processor; "
                   "bf16: oneDNN's products of bfloat16, summed in float32; auto: bf16 where the "
                   "processor has AVX512-BF16 or AMX and libtorch has oneDNN, else f32. The run "
                   "directory keeps which it was.",
        .names = NamesOf(kCpuProducts),
        .field = NamedField(
            kCpuProducts, [](auto& recipe) -> auto& { return recipe.compute.cpu_products; })},
       {.name = "--save-interval",
        .pointer = "/compute/save_interval",
        .commands = kTakeRecipe,
        .kind = Kind::kNumber,
        .help = "Seconds of calibration inside a layer that may have to be repeated after a crash; "
                "0: after every batch and group of experts",
        .details = "An unfinished layer is saved to run_dir that often, unless saving costs more "
                   "than repeating.",
        .metavar = "SECONDS",
        .minimum = 0,
        .maximum = 1'000'000'000,
        .field = Field([](auto& recipe) -> auto& { return recipe.compute.save_interval; })}});
}

void AppendExport(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.pointer = "/export", .kind = Kind::kSection, .help = "The written checkpoint"},
       {.name = "--dialect",
        .pointer = "/export/dialect",
        .commands = "convert",
        .kind = Kind::kName,
        .help = "Whose naming of scales and whose quantisation config",
        .details = "modelopt: NVIDIA ModelOpt's, which vLLM, SGLang and TensorRT-LLM load; "
                   "compressed-tensors: llm-compressor's, which vLLM, SGLang and transformers "
                   "load; gguf: one GGUF file, or one for each of the source, which llama.cpp "
                   "loads.",
        .names = NamesOf(DialectNames()),
        .group = kWithoutRecipe,
        .excludes = "--recipe",
        .field = NamedField(
            DialectNames(), [](auto& recipe) -> auto& { return recipe.dialect; })},
       {.name = "--kv-cache",
        .pointer = "/export/kv_cache",
        .commands = kTakeRecipe + " convert",
        .kind = Kind::kName,
        .help = "How engines keep the keys and values of past tokens",
        .details = "none: in the model's own type; fp8: in E4M3, with a calibrated scale for the "
                   "keys and one for the values of each attention; nvfp4: in NVFP4 with such "
                   "scales, in the modelopt dialect; fp8_cast and nvfp4_cast: with scales of 1, "
                   "which need no calibration.",
        .names = NamesOf(kKvCaches),
        .field = NamedField(
            kKvCaches, [](auto& recipe) -> auto& { return recipe.kv_cache; })}});
}

}  // namespace

std::vector<Option> MakeRecipeOptions() {
  std::vector<Option> options;
  AppendPlaces(options);
  AppendCalibrationRows(options);
  AppendRuleRows(options);
  AppendMachine(options);
  AppendExport(options);
  return options;
}

}  // namespace vernier::recipes
