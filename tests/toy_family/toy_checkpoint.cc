#include "tests/toy_family/toy_checkpoint.h"

#include <memory>
#include <vector>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/family.h"
#include "checkpoint/families/hf_tensors.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/test_tensors.h"

namespace vernier::testing {

Json ToyConfig() {
  return {{"architectures", {"ToyForCausalLM"}},
          {"model_type", "toy"},
          {"hidden_act", "silu"},
          {"hidden_size", 48},
          {"intermediate_size", 96},
          {"moe_intermediate_size", 32},
          {"num_hidden_layers", kToyLayers},
          {"num_attention_heads", 6},
          {"num_key_value_heads", 3},
          {"head_dim", 16},
          {"num_experts", 5},
          {"num_experts_per_tok", 2},
          {"toy_window", 7},
          {"vocab_size", kToyVocabulary},
          {"tie_word_embeddings", false}};
}

void WriteToyCheckpoint(const std::filesystem::path& directory) {
  const Json config = ToyConfig();
  const std::unique_ptr<checkpoint::Family> family = checkpoint::MakeFamily(config);
  std::vector<TestTensor> tensors;
  for (const checkpoint::TensorRow& row : checkpoint::DecoderRows(*family->Decoder())) {
    tensors.push_back(RandomBf16(row.name, row.shape));
  }
  WriteCheckpoint(directory, config, tensors, /*shards=*/1);
}

}  // namespace vernier::testing
