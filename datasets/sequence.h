// "Sequence" objects of tokenizer.json: the same shape for normalizers, pre-tokenizers, decoders.
#ifndef VERNIER_DATASETS_SEQUENCE_H_
#define VERNIER_DATASETS_SEQUENCE_H_

#include <string_view>
#include <vector>

#include "datasets/json_part.h"

namespace vernier::datasets {

// The steps of `part` in order: itself, or, for {"type": "Sequence", `list`: [...]}, those of its
// elements. Sequences may nest to a small depth.
std::vector<JsonPart> FlattenSequence(const JsonPart& part, std::string_view list);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SEQUENCE_H_
