// From one document of a source to its token ids.
#ifndef VERNIER_DATASETS_DOCUMENT_ENCODER_H_
#define VERNIER_DATASETS_DOCUMENT_ENCODER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "datasets/calibration_set.h"
#include "datasets/document_index.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {

// Keeps a reference to the tokenizer, which must outlive it. Thread-safe.
class DocumentEncoder {
 public:
  // Errors: kBadDataset naming a control token of `chat_format` that the tokenizer lacks.
  DocumentEncoder(const Tokenizer& tokenizer, ChatFormat chat_format);

  // The document's ids with the BOS and EOS that the tokenizer's configuration asks for;
  // "input_ids" as they are. Empty for a document without text. Errors: kBadDataset with the
  // document's origin.
  std::vector<int32_t> Encode(const Document& document) const;

 private:
  std::vector<int32_t> EncodeRow(const Document& document) const;
  std::vector<int32_t> EncodeText(std::string_view text) const;

  const Tokenizer& tokenizer_;
  ChatFormat chat_format_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_DOCUMENT_ENCODER_H_
