// A checkpoint's tokenizer as llama.cpp reads it.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_GGUF_TOKENIZER_H_
#define VERNIER_CHECKPOINT_CONTAINERS_GGUF_TOKENIZER_H_

#include <cstdint>
#include <filesystem>

#include "base/json.h"
#include "checkpoint/families/gguf_model.h"

namespace vernier::checkpoint::gguf {

// Of tokenizer.json, tokenizer_config.json, chat_template.jinja and the ids in `config`; ids up to
// `vocab_size` that the tokenizer does not have become "[PAD7]". Without a tokenizer.json the file
// says so: llama.cpp then takes ids alone. kBadTokenizer for what llama.cpp has no tokenizer for.
GgufMetadata TokenizerMetadata(const std::filesystem::path& directory, const Json& config,
                               int64_t vocab_size);

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_CONTAINERS_GGUF_TOKENIZER_H_
