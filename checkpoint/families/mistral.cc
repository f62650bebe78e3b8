// Mistral: Llama's layers with a window of keys in all of them.
#include "checkpoint/families/mistral.h"

#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

namespace {

constexpr int64_t kMistralWindow = 4096;  // of the first release, whose config need not say so

}  // namespace

DecoderConfig ReadMistral(const ConfigReader& reader) {
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  ReadWindow(reader, kMistralWindow, &config);
  config.gguf = kGgufLlama;
  return config;
}

std::unique_ptr<Family> MakeMistralFamily(const Json& config) {
  return MakeHfFamily("mistral", ReadMistral(ConfigReader(config)));
}

}  // namespace vernier::checkpoint
