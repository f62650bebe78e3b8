// "post_processor" of tokenizer.json: the special tokens around a text.
#ifndef VERNIER_DATASETS_POST_PROCESSOR_H_
#define VERNIER_DATASETS_POST_PROCESSOR_H_

#include <cstdint>
#include <vector>

#include "datasets/json_part.h"

namespace vernier::datasets {

// What stands around the ids of one text: [prefix..., text..., suffix...].
struct PostProcessor {
  // Whether the file says what is added, be it nothing. Without, tokenizer_config.json is asked.
  bool decides = false;
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;

  // TemplateProcessing's "single" form, BertProcessing and RobertaProcessing; ByteLevel, which
  // changes offsets only, decides nothing; a Sequence of these with at most one that adds tokens.
  // Absent or null: an empty one. `file` is the whole tokenizer.json; errors: kBadTokenizer.
  static PostProcessor FromJson(const JsonPart& file);
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_POST_PROCESSOR_H_
