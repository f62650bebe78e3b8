// From one document of a source to its token ids.
#ifndef VERNIER_DATASETS_DOCUMENT_ENCODER_H_
#define VERNIER_DATASETS_DOCUMENT_ENCODER_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "datasets/calibration_set.h"
#include "datasets/chat_row.h"
#include "datasets/document_index.h"
#include "datasets/template_renderer.h"
#include "datasets/tokenizer_or_error.h"

namespace vernier::datasets {

// Keeps a reference to a tokenizer that somebody has, which must outlive it. Thread-safe.
class DocumentEncoder {
 public:
  // kAuto is the tokenizer's chat template where it has one, else kPlain. Without a tokenizer only
  // ready ids are encoded, and any other document is the error of loading it.
  DocumentEncoder(TokenizerOrError tokenizer, ChatFormat chat_format);

  // The document's ids with the BOS and EOS that the tokenizer's configuration asks for; a chat as
  // its template writes it and "input_ids" as they are. Empty for a document without text. Errors:
  // kBadDataset with the document's origin, or naming a control token that the tokenizer lacks;
  // those of TemplateRenderer::Render.
  std::vector<int32_t> Encode(const Document& document) const;

  // What kAuto came to, or what was asked for.
  ChatFormat chat_format() const { return chat_format_; }

 private:
  std::vector<int32_t> EncodeRow(const Document& document) const;
  std::vector<int32_t> EncodeColumn(const Json& row, std::string_view column,
                                    std::string_view origin) const;
  std::vector<int32_t> EncodeChat(const ChatRow& chat, std::string_view origin) const;
  std::vector<int32_t> EncodeText(std::string_view text) const;
  int32_t VocabSize() const;

  TokenizerOrError tokenizer_;
  ChatFormat chat_format_;
  std::unique_ptr<TemplateRenderer> renderer_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_DOCUMENT_ENCODER_H_
