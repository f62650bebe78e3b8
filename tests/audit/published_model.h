// Published checkpoints as far as their headers go: names, dtypes, shapes and configurations are
// theirs, the files are sparse and hold zeros. For rules that look at headers and configurations.
#ifndef VERNIER_TESTS_AUDIT_PUBLISHED_MODEL_H_
#define VERNIER_TESTS_AUDIT_PUBLISHED_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::audit {

struct PublishedOptions {
  // Decoder layers, 0: all. Configurations are cut to them; MTP layers stay and move down.
  int64_t layers = 5;
  // Routed experts a layer, 0: all. At least num_experts_per_tok, for the model to make sense.
  int64_t experts = 8;
  int shards = 2;
  // Writes an index whose total_size is another checkpoint's, as NVIDIA's DeepSeek-V4 conversion
  // leaves it (Model-Optimizer, deepseek_v4/quantize_to_nvfp4.py).
  bool stale_index_size = false;
  // Writes what NVIDIA quantised instead of its NVFP4 checkpoint: DeepSeek's in FP8 blocks, Qwen's
  // in BF16.
  bool as_released = false;
};

// The folders of tests/data/published, in alphabetical order: "deepseek-ai--DeepSeek-V3".
std::vector<std::string> PublishedNames();

// Writes the checkpoint `name` into `directory`: config.json, hf_quant_config.json where one is
// published, an index and `options.shards` files. F32 scales are 1, every other byte is 0. By
// default it takes less than 4 MiB of disk space, whatever the files' sizes.
void WritePublishedModel(std::string_view name, const PublishedOptions& options,
                         const std::filesystem::path& directory);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_PUBLISHED_MODEL_H_
