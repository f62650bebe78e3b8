// What llama.cpp calls the way in which a text is split before its merges.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_GGUF_PRE_TOKENIZER_H_
#define VERNIER_CHECKPOINT_CONTAINERS_GGUF_PRE_TOKENIZER_H_

#include <nlohmann/json.hpp>
#include <string_view>

namespace vernier::checkpoint::gguf {

// tokenizer.ggml.pre for the "pre_tokenizer" of a tokenizer.json, known by what it does, not by
// whose it is. Empty: none that llama.cpp has, as far as it is listed here.
std::string_view PreTokenizerName(const nlohmann::json& pre_tokenizer);

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_CONTAINERS_GGUF_PRE_TOKENIZER_H_
