// Finds the longest of a set of strings at a place in a text.
#ifndef VERNIER_DATASETS_TOKEN_TRIE_H_
#define VERNIER_DATASETS_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace vernier::datasets {

class TokenTrie {
 public:
  struct Match {
    size_t length;
    size_t value;
  };

  // `token` must not be empty. The first value inserted for a token stays.
  void Insert(std::string_view token, size_t value);

  // The longest token that text[position, ...) starts with. O(length of the match attempt).
  std::optional<Match> LongestAt(std::string_view text, size_t position) const;

 private:
  struct Node {
    std::vector<std::pair<char, size_t>> children;  // few: searched linearly
    std::optional<size_t> value;
  };

  const size_t* Child(size_t node, char byte) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);  // the root
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_TOKEN_TRIE_H_
