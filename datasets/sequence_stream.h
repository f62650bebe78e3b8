// The sequences of one source, made one by one in an order that its seed gives.
#ifndef VERNIER_DATASETS_SEQUENCE_STREAM_H_
#define VERNIER_DATASETS_SEQUENCE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "datasets/calibration_set.h"
#include "datasets/document_encoder.h"
#include "datasets/document_index.h"

namespace vernier::datasets {

using TokenIds = std::vector<int32_t>;

// Documents of a source in seeded order, tokenised when they are asked for. The encoder must
// outlive it.
class DocumentStream {
 public:
  DocumentStream(DocumentIndex index, const DocumentEncoder& encoder, uint64_t seed);

  // Ids of the next document that has any; nothing at the end.
  std::optional<TokenIds> Next();

 private:
  DocumentIndex index_;
  const DocumentEncoder& encoder_;
  std::vector<size_t> order_;
  size_t next_ = 0;
};

// Cuts a source's documents into sequences of at most `sequence_length` ids.
class SequenceStream {
 public:
  SequenceStream(DocumentStream documents, Packing packing, int64_t sequence_length);

  // kPack: the next `sequence_length` ids of the joined documents. kTruncate: the beginning of the
  // next document. Nothing at the end.
  std::optional<TokenIds> Next();

  // kPack, once Next() has returned nothing: the ids that were left over, if any. They are given
  // once.
  std::optional<TokenIds> TakeRest();

 private:
  std::optional<TokenIds> NextPacked();
  std::optional<TokenIds> NextTruncated();

  DocumentStream documents_;
  Packing packing_;
  size_t sequence_length_;
  TokenIds pending_;     // ids of documents already read
  size_t consumed_ = 0;  // how many of them were given out
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SEQUENCE_STREAM_H_
