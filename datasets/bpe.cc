#include "datasets/bpe.h"

#include <fmt/format.h>

#include <optional>
#include <queue>
#include <string>

#include "datasets/token_decoder.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

constexpr int32_t kNone = -1;

void RefuseUnsupportedOptions(const JsonPart& model) {
  if (model.Has("type") && model.Text("type") != "BPE") {
    model.RefuseUnsupported(fmt::format("the model type \"{}\"", model.Text("type")));
  }
  if (model.Has("dropout")) model.RefuseUnsupported("dropout");
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.Has(affix) && !model.Text(affix).empty()) model.RefuseUnsupported(affix);
  }
}

struct TokenPair {
  std::string_view left;
  std::string_view right;
};

// "a b" or ["a", "b"]; nothing when it is neither.
std::optional<TokenPair> ParsePair(const nlohmann::json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return TokenPair{merge[0].get_ref<const std::string&>(),
                     merge[1].get_ref<const std::string&>()};
  }
  if (!merge.is_string()) return std::nullopt;
  const std::string_view text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return TokenPair{text.substr(0, space), text.substr(space + 1)};
}

int32_t RequireToken(const Vocabulary& vocabulary, const JsonPart& model) {
  const std::string token = model.Text("unk_token");
  const std::optional<int32_t> id = vocabulary.Find(token);
  if (!id) {
    model.Refuse(fmt::format("names the unk_token \"{}\", which the vocabulary lacks", token),
                 "Restore the published file");
  }
  return *id;
}

// A first line of merges.txt that some files keep.
bool IsVersionLine(const nlohmann::json& merge) {
  return merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version");
}

}  // namespace

// A word being merged: its symbols as a doubly linked list in an array, and the merges that are
// possible, best first. Queue entries are not removed when a merge makes them void but checked when
// they surface.
class Bpe::Word {
 public:
  Word(const Bpe& bpe, std::string_view text) : bpe_(bpe) {
    for (size_t position = 0; position < text.size();) {
      const size_t begin = position;
      NextCodePoint(text, position);
      AppendCharacter(text.substr(begin, position - begin));
    }
    AppendUnknown();
    for (int32_t i = 0; i < static_cast<int32_t>(symbols_.size()); ++i) Propose(i);
  }

  void MergeAll() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (IsCurrent(best)) MergeAt(best);
    }
  }

  void AppendIds(std::vector<int32_t>& ids) const {
    if (symbols_.empty()) return;
    // The first symbol only ever absorbs its successors.
    for (int32_t i = 0; i != kNone; i = symbols_[i].next) ids.push_back(symbols_[i].id);
  }

 private:
  struct Symbol {
    int32_t id;  // kNone once merged into its predecessor
    int32_t previous;
    int32_t next;
  };

  struct Candidate {
    int32_t rank;
    int32_t position;  // of the left symbol
    int32_t merged_id;

    // std::priority_queue yields the largest: the first merge in the list, then the leftmost.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  void AppendCharacter(std::string_view character) {
    if (const auto id = bpe_.vocabulary_.Find(character)) {
      AppendUnknown();
      Append(*id);
      return;
    }
    if (bpe_.byte_fallback_ && AppendBytes(character)) return;
    if (!bpe_.fuse_unknown_) AppendUnknown();
    unknown_pending_ = bpe_.unknown_.has_value();
  }

  // Nothing unless every byte has a token.
  bool AppendBytes(std::string_view character) {
    std::vector<int32_t> ids;
    for (const char byte : character) {
      const auto id = bpe_.vocabulary_.Find(TokenOfByte(static_cast<unsigned char>(byte)));
      if (!id) return false;
      ids.push_back(*id);
    }
    for (const int32_t id : ids) Append(id);
    return true;
  }

  void AppendUnknown() {
    if (unknown_pending_) Append(*bpe_.unknown_);
    unknown_pending_ = false;
  }

  void Append(int32_t id) {
    const auto position = static_cast<int32_t>(symbols_.size());
    if (position > 0) symbols_.back().next = position;
    symbols_.push_back({id, position - 1, kNone});
  }

  const Merge* MergeOf(int32_t position) const {
    const Symbol& left = symbols_[position];
    if (left.id == kNone || left.next == kNone) return nullptr;
    return bpe_.merges_.Find(left.id, symbols_[left.next].id);
  }

  void Propose(int32_t position) {
    if (const Merge* merge = MergeOf(position)) {
      queue_.push({merge->rank, position, merge->merged_id});
    }
  }

  // Hugging Face tokenizers compare what the pair would become, not which pair it was.
  bool IsCurrent(const Candidate& candidate) const {
    const Merge* merge = MergeOf(candidate.position);
    return merge != nullptr && merge->merged_id == candidate.merged_id;
  }

  void MergeAt(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.position];
    Symbol& right = symbols_[left.next];
    left.id = candidate.merged_id;
    left.next = right.next;
    right.id = kNone;
    if (left.next != kNone) symbols_[left.next].previous = candidate.position;
    if (left.previous != kNone) Propose(left.previous);
    Propose(candidate.position);
  }

  const Bpe& bpe_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
  bool unknown_pending_ = false;
};

Bpe Bpe::FromJson(const JsonPart& model) {
  RefuseUnsupportedOptions(model);
  Bpe bpe;
  bpe.vocabulary_ = Vocabulary::FromJson(model.At("vocab"));
  bpe.ignore_merges_ = model.FlagOr("ignore_merges", false);
  bpe.byte_fallback_ = model.FlagOr("byte_fallback", false);
  bpe.fuse_unknown_ = model.FlagOr("fuse_unk", false);
  if (model.Has("unk_token")) bpe.unknown_ = RequireToken(bpe.vocabulary_, model);
  const JsonPart merges = model.At("merges");
  if (!merges.value().is_array()) merges.Refuse("is not an array", "Restore the published file");
  bpe.merges_ = MergeTable(merges.value().size());
  for (const nlohmann::json& merge : merges.value()) {
    if (IsVersionLine(merge)) continue;
    const std::optional<TokenPair> pair = ParsePair(merge);
    if (!pair) {
      merges.Refuse(fmt::format("entry {} is not a pair of tokens", bpe.merge_count_),
                    "Restore the published file");
    }
    bpe.AddMerge(pair->left, pair->right, merges);
  }
  return bpe;
}

void Bpe::AddMerge(std::string_view left, std::string_view right, const JsonPart& merges) {
  const auto id_of = [&](std::string_view token) {
    const auto id = vocabulary_.Find(token);
    if (!id) {
      merges.Refuse(
          fmt::format("entry {} needs \"{}\", which the vocabulary lacks", merge_count_, token),
          "Restore the published file");
    }
    return *id;
  };
  const int32_t merged_id = id_of(std::string(left).append(right));
  merges_.Set(id_of(left), id_of(right), {merge_count_, merged_id});
  ++merge_count_;
}

void Bpe::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.Find(word)) {
      ids.push_back(*id);
      return;
    }
  }
  Word symbols(*this, word);
  symbols.MergeAll();
  symbols.AppendIds(ids);
}

}  // namespace vernier::datasets
