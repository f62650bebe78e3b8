#include <vector>

#include "recipes/option_rows.h"

namespace vernier::recipes {
namespace {

using Kind = ValueKind;

constexpr int64_t kLargestExact = (int64_t{1} << 53) - 1;  // integer that every JSON reader keeps
void AppendData(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.pointer = "/calibration",
        .kind = Kind::kSection,
        .help = "The text that is run through the model to see how large activations become",
        .details = "Needed when input scales or scales of the key/value cache are calibrated, and "
                   "not read otherwise."},
       {.pointer = "/calibration/data",
        .kind = Kind::kEntries,
        .help = "Text sources",
        .details = "Each gives a share of the samples.",
        .field = {.required = true},
        .entries = {
            .clear = [](Recipe& recipe) { recipe.calibration.data.sources.clear(); },
            .append = [](Recipe& recipe) { recipe.calibration.data.sources.emplace_back(); }},
        .schema = {{"minItems", 1}}},
       {.name = "--data",
        .pointer = "/calibration/data/*/path",
        .commands = kTakeRecipe,
        .kind = Kind::kPath,
        .help = "Calibration data: a file, or a directory whose .jsonl, .json, .parquet and .txt "
                "files are read in name order",
        .arity = Arity::kMany,
        .field = Required(Field(
            [](auto& recipe) -> auto& { return recipe.calibration.data.sources.back().path; }))},
       {.pointer = "/calibration/data/*/format",
        .kind = Kind::kName,
        .help = "What the file holds",
        .details = "jsonl: one object a line with \"text\", \"messages\", \"conversations\" or "
                   "\"input_ids\"; parquet: rows with these columns; text: the whole file is one "
                   "document; auto: Parquet by content, else by file name.",
        .names = NamesOf(kSourceFormats),
        .field = NamedField(
            kSourceFormats,
            [](auto& recipe) -> auto& { return recipe.calibration.data.sources.back().format; })},
       {.name = "--column",
        .pointer = "/calibration/data/*/column",
        .commands = "eval",
        .help = "The field of a row that holds its text, messages or ids; by default the first of "
                "input_ids, messages, conversations and text that is there",
        .excludes = "--input-ids",
        .field = Field(
            [](auto& recipe) -> auto& { return recipe.calibration.data.sources.back().column; }),
        .schema = {{"minLength", 1}}},
       {.pointer = "/calibration/data/*/weight",
        .kind = Kind::kNumber,
        .help = "This source's share of the samples, relative to the other sources' weights",
        .above = 0,
        .field = Field(
            [](auto& recipe) -> auto& { return recipe.calibration.data.sources.back().weight; })}});
}

void AppendCalibration(std::vector<Option>& options) {
  options.insert(
      options.end(),
      {{.name = "--samples",
        .pointer = "/calibration/samples",
        .commands = kTakeRecipe + " layertest",
        .kind = Kind::kInteger,
        .help = "Number of sequences",
        .minimum = 1,
        .maximum = 10'000'000,
        .field = Field([](auto& recipe) -> auto& { return recipe.calibration.data.samples; })},
       {.name = "--sequence-length",
        .pointer = "/calibration/sequence_length",
        .commands = kTakeRecipe,
        .kind = Kind::kInteger,
        .help = "Tokens of each sequence",
        .minimum = 1,
        .maximum = 1 << 20,
        .field =
            Field([](auto& recipe) -> auto& { return recipe.calibration.data.sequence_length; })},
       {.pointer = "/calibration/packing",
        .kind = Kind::kName,
        .help = "How documents become sequences",
        .details = "pack: they are joined into one stream and cut; truncate: one document a "
                   "sequence, cut or padded.",
        .names = NamesOf(kPackings),
        .field = NamedField(
            kPackings, [](auto& recipe) -> auto& { return recipe.calibration.data.packing; })},
       {.name = "--chat-format",
        .pointer = "/calibration/chat_format",
        .commands = "eval",
        .kind = Kind::kName,
        .help = "How a chat (\"messages\") becomes text",
        .details = "template: as the checkpoint's own chat template writes it; auto: so where "
                   "there is one, and plain elsewhere; plain joins the contents; deepseek and "
                   "chatml add those models' control tokens.",
        .names = NamesOf(kChatFormats),
        .excludes = "--input-ids",
        .field = NamedField(
            kChatFormats,
            [](auto& recipe) -> auto& { return recipe.calibration.data.chat_format; })},
       {.name = "--seed",
        .pointer = "/calibration/seed",
        .commands = kTakeRecipe,
        .kind = Kind::kInteger,
        .help = "Seed of the choice and order of samples",
        .minimum = 0,
        .maximum = kLargestExact,
        .field = Field([](auto& recipe) -> auto& { return recipe.calibration.data.seed; })},
       {.name = "--dtype",
        .pointer = "/calibration/dtype",
        .commands = "layertest eval generate",
        .kind = Kind::kName,
        .help = "Type that weights and activations have in the forward pass",
        .names = NamesOf(kComputeDtypes),
        .field = NamedField(
            kComputeDtypes, [](auto& recipe) -> auto& { return recipe.calibration.dtype; })},
       {.name = "--dtype",
        .pointer = "/calibration/dtype",
        .commands = "trace",
        .kind = Kind::kName,
        .help = "Type that weights and activations have in the forward pass",
        .names = NamesOf(kComputeDtypes),
        .standard = "float32"},
       {.name = "--batch-size",
        .pointer = "/calibration/batch_size",
        .commands = kTakeRecipe + kTakeForward,
        .kind = Kind::kInteger,
        .help = "Sequences that go through a layer at a time; 0: the largest power of two up to 8 "
                "(on a GPU 32) "
                "that fits device_memory",
        .minimum = 0,
        .maximum = 4096,
        .field = Field([](auto& recipe) -> auto& { return recipe.calibration.batch_size; })},
       {.pointer = "/calibration/all_experts",
        .kind = Kind::kFlag,
        .help = "Let every routed expert observe every token",
        .details = "The model's outputs do not change.",
        .field = Field([](auto& recipe) -> auto& { return recipe.calibration.all_experts; })}});
}

}  // namespace

void AppendCalibrationRows(std::vector<Option>& options) {
  AppendData(options);
  AppendCalibration(options);
}

}  // namespace vernier::recipes
