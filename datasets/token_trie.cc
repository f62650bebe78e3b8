#include "datasets/token_trie.h"

#include <cassert>

namespace vernier::datasets {

const size_t* TokenTrie::Child(size_t node, char byte) const {
  for (const auto& [key, child] : nodes_[node].children) {
    if (key == byte) return &child;
  }
  return nullptr;
}

void TokenTrie::Insert(std::string_view token, size_t value) {
  assert(!token.empty());
  size_t node = 0;
  for (const char byte : token) {
    if (const size_t* child = Child(node, byte)) {
      node = *child;
      continue;
    }
    nodes_[node].children.emplace_back(byte, nodes_.size());
    node = nodes_.size();
    nodes_.emplace_back();
  }
  if (!nodes_[node].value) nodes_[node].value = value;
}

std::optional<TokenTrie::Match> TokenTrie::LongestAt(std::string_view text, size_t position) const {
  std::optional<Match> longest;
  size_t node = 0;
  for (size_t at = position; at < text.size(); ++at) {
    const size_t* child = Child(node, text[at]);
    if (child == nullptr) break;
    node = *child;
    if (nodes_[node].value) longest = Match{at + 1 - position, *nodes_[node].value};
  }
  return longest;
}

}  // namespace vernier::datasets
