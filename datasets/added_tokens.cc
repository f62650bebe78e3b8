#include "datasets/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

// Unicode's recommendation for word characters (UTS 18, annex C), which single_word goes by; the \w
// of the patterns differs a little.
constexpr std::string_view kWordCharacter = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}])";

AddedToken ParseToken(const JsonPart& part) {
  const std::optional<int32_t> id = TokenIdFromJson(part.At("id").value());
  if (!id) part.Refuse("has no valid \"id\"", "Restore the published file");
  return {.content = part.Text("content"),
          .id = *id,
          .single_word = part.Flag("single_word"),
          .lstrip = part.Flag("lstrip"),
          .rstrip = part.Flag("rstrip"),
          .normalized = part.Flag("normalized"),
          .special = part.Flag("special")};
}

// Hugging Face tokenizers number added tokens themselves, whatever the file says: after the
// vocabulary's tokens and the largest added id so far.
int64_t ExpectedId(const AddedToken& token, const Vocabulary& vocabulary, int32_t largest_added) {
  if (const auto id = vocabulary.Find(token.content)) return *id;
  return std::max(static_cast<int64_t>(vocabulary.size()), int64_t{largest_added} + 1);
}

}  // namespace

AddedTokens AddedTokens::FromJson(const JsonPart& file, const Vocabulary& vocabulary,
                                  const Normalizer& normalizer) {
  AddedTokens added;
  if (!file.Has("added_tokens")) return added;
  for (const JsonPart& part : file.Elements("added_tokens")) {
    AddedToken token = ParseToken(part);
    if (token.content.empty()) continue;
    if (added.by_content_.contains(token.content)) {
      part.Refuse(fmt::format("repeats \"{}\"", token.content), "Remove the repetition");
    }
    const int64_t expected = ExpectedId(token, vocabulary, added.largest_id_);
    if (token.id != expected) {
      part.Refuse(fmt::format("\"{}\" has the id {}, but its place gives it {}", token.content,
                              token.id, expected),
                  "Restore the published file");
    }
    if (token.single_word && !added.word_character_) {
      added.word_character_ = Regex::Compile(kWordCharacter, part);
    }
    added.Add(std::move(token));
  }
  added.AddPatterns(/*special=*/true, normalizer, file);
  added.AddPatterns(/*special=*/false, normalizer, file);
  return added;
}

void AddedTokens::Add(AddedToken token) {
  largest_id_ = std::max(largest_id_, token.id);
  by_content_.emplace(token.content, tokens_.size());
  by_id_.emplace(token.id, tokens_.size());
  tokens_.push_back(std::move(token));
}

void AddedTokens::AddPatterns(bool special, const Normalizer& normalizer, const JsonPart& file) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.special != special) continue;
    if (!token.normalized) {
      raw_.Insert(token.content, i);
      continue;
    }
    const std::string content = normalizer.Apply(token.content);
    if (content.empty()) {
      file.Refuse(
          fmt::format("the normalizer leaves nothing of the added token \"{}\"", token.content),
          "Give the token \"normalized\": false");
    }
    normalized_.Insert(content, i);
  }
}

std::vector<AddedTokens::Piece> AddedTokens::SplitRaw(std::string_view text) const {
  return SplitAt(raw_, text);
}

std::vector<AddedTokens::Piece> AddedTokens::SplitNormalized(std::string_view text) const {
  return SplitAt(normalized_, text);
}

std::vector<AddedTokens::Piece> AddedTokens::SplitAt(const TokenTrie& patterns,
                                                     std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t position = 0; position < text.size();) {
    const std::optional<TokenTrie::Match> match = patterns.LongestAt(text, position);
    if (!match) {
      ++position;
      continue;
    }
    const AddedToken& token = tokens_[match->value];
    size_t begin = position;
    size_t end = position + match->length;
    position = end;
    if (token.single_word && TouchesWord(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(begin - TrailingWhiteSpace(text.substr(0, begin)), done);
    if (token.rstrip) end += LeadingWhiteSpace(text.substr(end));
    if (done < begin) pieces.push_back({text.substr(done, begin - done), std::nullopt});
    pieces.push_back({{}, token.id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), std::nullopt});
  return pieces;
}

bool AddedTokens::TouchesWord(std::string_view text, size_t begin, size_t end) const {
  if (begin > 0) {
    const size_t previous = PreviousCodePoint(text, begin);
    if (!word_character_->FindAll(text.substr(previous, begin - previous)).empty()) return true;
  }
  if (end == text.size()) return false;
  size_t next = end;
  NextCodePoint(text, next);
  return !word_character_->FindAll(text.substr(end, next - end)).empty();
}

std::optional<int32_t> AddedTokens::Find(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  if (it == by_content_.end()) return std::nullopt;
  return tokens_[it->second].id;
}

const std::string* AddedTokens::Token(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second].content;
}

}  // namespace vernier::datasets
