#include "datasets/post_processor.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <utility>

#include "datasets/sequence.h"

namespace vernier::datasets {
namespace {

int32_t ReadId(const JsonPart& part, const nlohmann::json& value) {
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int32_t>::max());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kLargest) {
    part.Refuse("is not the id of a token", "Restore the published file");
  }
  return value.get<int32_t>();
}

void AppendIds(const JsonPart& token, std::vector<int32_t>* ids) {
  for (const JsonPart& id : token.Elements("ids")) ids->push_back(ReadId(id, id.value()));
}

// {"single": [{"SpecialToken": {"id": NAME}} or {"Sequence": {"id": "A"}}, ...],
//  "special_tokens": {NAME: {"ids": [...]}}}
PostProcessor ReadTemplate(const JsonPart& part) {
  PostProcessor result;
  result.decides = true;
  bool text_seen = false;
  for (const JsonPart& piece : part.Elements("single")) {
    if (piece.Has("SpecialToken")) {
      const std::string name = piece.At("SpecialToken").Text("id");
      AppendIds(part.At("special_tokens").At(name), text_seen ? &result.suffix : &result.prefix);
    } else if (piece.At("Sequence").Text("id") != "A" || text_seen) {
      piece.RefuseUnsupported("a template of anything but one text");
    } else {
      text_seen = true;
    }
  }
  if (!text_seen) part.RefuseUnsupported("a template without the text");
  return result;
}

// {"cls": [TOKEN, ID], "sep": [TOKEN, ID]}
int32_t ReadPair(const JsonPart& part, std::string_view key) {
  const JsonPart pair = part.At(key);
  if (!pair.value().is_array() || pair.value().size() != 2) {
    pair.Refuse("is not a token and its id", "Restore the published file");
  }
  return ReadId(pair, pair.value()[1]);
}

PostProcessor ReadBert(const JsonPart& part) {
  return {.decides = true, .prefix = {ReadPair(part, "cls")}, .suffix = {ReadPair(part, "sep")}};
}

PostProcessor ReadStep(const JsonPart& part) {
  const std::string type = part.Text("type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return ReadTemplate(part);
  if (type == "BertProcessing" || type == "RobertaProcessing") return ReadBert(part);
  part.RefuseUnsupported(fmt::format("the post-processor \"{}\"", type));
}

}  // namespace

PostProcessor PostProcessor::FromJson(const JsonPart& file) {
  PostProcessor result;
  if (!file.Has("post_processor")) return result;
  for (const JsonPart& step : FlattenSequence(file.At("post_processor"), "processors")) {
    PostProcessor read = ReadStep(step);
    if (read.decides && result.decides) {
      step.RefuseUnsupported("a second post-processor that adds tokens");
    }
    if (read.decides) result = std::move(read);
  }
  return result;
}

}  // namespace vernier::datasets
