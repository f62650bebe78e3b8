#include "datasets/sequence_stream.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "datasets/seeded_random.h"

namespace vernier::datasets {

DocumentStream::DocumentStream(DocumentIndex index, const DocumentEncoder& encoder, uint64_t seed)
    : index_(std::move(index)), encoder_(encoder), order_(index_.size()) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  SeededRandom(seed).Shuffle(order_);
}

std::optional<TokenIds> DocumentStream::Next() {
  while (next_ < order_.size()) {
    TokenIds ids = encoder_.Encode(index_.Read(order_[next_++]));
    if (!ids.empty()) return ids;
  }
  return std::nullopt;
}

SequenceStream::SequenceStream(DocumentStream documents, Packing packing, int64_t sequence_length)
    : documents_(std::move(documents)),
      packing_(packing),
      sequence_length_(static_cast<size_t>(sequence_length)) {}

std::optional<TokenIds> SequenceStream::Next() {
  return packing_ == Packing::kPack ? NextPacked() : NextTruncated();
}

std::optional<TokenIds> SequenceStream::NextPacked() {
  while (pending_.size() - consumed_ < sequence_length_) {
    const std::optional<TokenIds> document = documents_.Next();
    if (!document) return std::nullopt;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(consumed_));
    consumed_ = 0;
    pending_.insert(pending_.end(), document->begin(), document->end());
  }
  const auto begin = pending_.begin() + static_cast<ptrdiff_t>(consumed_);
  consumed_ += sequence_length_;
  return TokenIds(begin, begin + static_cast<ptrdiff_t>(sequence_length_));
}

std::optional<TokenIds> SequenceStream::NextTruncated() {
  std::optional<TokenIds> document = documents_.Next();
  if (document) document->resize(std::min(document->size(), sequence_length_));
  return document;
}

std::optional<TokenIds> SequenceStream::TakeRest() {
  if (consumed_ == pending_.size()) return std::nullopt;
  const auto begin = pending_.begin() + static_cast<ptrdiff_t>(consumed_);
  consumed_ = pending_.size();
  return TokenIds(begin, pending_.end());
}

}  // namespace vernier::datasets
