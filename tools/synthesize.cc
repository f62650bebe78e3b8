// A random checkpoint with the tensor shapes of a released DeepSeek-V4, of any size: for measuring
// what depends on sizes and not on values.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/direct_output.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/deepseek_v4_tensors.h"
#include "checkpoint/safetensors.h"

namespace vernier::tools {
namespace {

namespace fs = std::filesystem;

using checkpoint::DType;
using checkpoint::TensorSpec;

constexpr uint64_t kChunkBytes = 4u << 20u;

struct Options {
  fs::path config;
  fs::path output;
  int64_t layers = 4;
  int64_t experts = 32;
  int64_t mtp_layers = 0;
  uint64_t shard_bytes = uint64_t{5} << 30;
  bool bf16 = false;
};

// The released config with fewer layers and experts.
Json SmallerConfig(const Options& options) {
  Json config = ParseJson(ReadWholeFile(options.config), options.config.string());
  Json ratios = Json::array();
  for (int64_t i = 0; i < options.layers; ++i) ratios.push_back(config.at("compress_ratios").at(i));
  for (int64_t i = 0; i < options.mtp_layers; ++i) ratios.push_back(0);
  config["compress_ratios"] = std::move(ratios);
  config["num_hidden_layers"] = options.layers;
  config["num_hash_layers"] = std::min(options.layers, config.at("num_hash_layers").get<int64_t>());
  config["n_routed_experts"] = options.experts;
  config["num_nextn_predict_layers"] = options.mtp_layers;
  if (options.bf16) config.erase("quantization_config");
  return config;
}

std::vector<TensorSpec> AllTensors(const Json& config, bool bf16) {
  const checkpoint::DeepseekV4Config parsed = checkpoint::ParseDeepseekV4Config(config);
  std::vector<TensorSpec> specs;
  for (const checkpoint::TensorRow& tensor : checkpoint::DeepseekV4Rows(parsed)) {
    std::vector<TensorSpec> parts = checkpoint::ReleasedTensors(tensor);
    if (bf16 && parts.size() == 2) parts = {{tensor.name, DType::kBF16, tensor.shape}};
    specs.insert(specs.end(), parts.begin(), parts.end());
  }
  return specs;
}

// Files of about `shard_bytes`, each with consecutive tensors.
std::vector<std::vector<TensorSpec>> Spread(std::vector<TensorSpec> specs, uint64_t shard_bytes) {
  std::vector<std::vector<TensorSpec>> shards;
  uint64_t bytes = shard_bytes;
  for (TensorSpec& spec : specs) {
    if (bytes >= shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    bytes += checkpoint::SpecBytes(spec);
    shards.back().push_back(std::move(spec));
  }
  return shards;
}

// xorshift64 (Marsaglia 2003): fast, and random enough not to compress.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  uint64_t state_;
};

// Bits of each 8 bytes that stay random, and those that are set: finite numbers of moderate size.
struct Pattern {
  uint64_t keep = ~uint64_t{0};
  uint64_t set = 0;
};

Pattern PatternOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16:  // +-2^-7 to 2^-4
      return {0x81FF'81FF'81FF'81FF, 0x3C00'3C00'3C00'3C00};
    case DType::kF32:
      return {0x81FF'FFFF'81FF'FFFF, 0x3C00'0000'3C00'0000};
    case DType::kF8E4M3:  // no exponent of all ones
      return {0xF7F7'F7F7'F7F7'F7F7, 0};
    case DType::kF8E8M0:  // 2^-11 to 2^-4
      return {0x0707'0707'0707'0707, 0x7474'7474'7474'7474};
    case DType::kI64:  // expert ids below 4
      return {0x3, 0};
    default:
      return {};
  }
}

void FillChunk(DType dtype, Random& random, std::span<std::byte> chunk) {
  const Pattern pattern = PatternOf(dtype);
  for (size_t i = 0; i < chunk.size(); i += sizeof(uint64_t)) {
    const uint64_t word = (random.Next() & pattern.keep) | pattern.set;
    std::memcpy(chunk.data() + i, &word, std::min(sizeof word, chunk.size() - i));
  }
}

void WriteShard(const fs::path& path, std::vector<TensorSpec> specs, uint64_t seed) {
  const checkpoint::SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(specs), {{"format", "pt"}});
  DirectOutput file(PartialPath(path), layout.file_bytes, IoOptionsFromEnvironment());
  file.Write(0, std::as_bytes(std::span(layout.prefix)));
  Random random(seed);
  const AlignedBuffer chunk(kChunkBytes);
  for (const checkpoint::TensorInfo& tensor : layout.tensors) {
    for (uint64_t done = 0; done < tensor.Bytes(); done += kChunkBytes) {
      const auto part = chunk.bytes().first(std::min(kChunkBytes, tensor.Bytes() - done));
      FillChunk(tensor.dtype, random, part);
      file.Write(tensor.begin + done, part);
    }
  }
  file.Finish();
  PublishPartial(path);
}

void Synthesize(const Options& options) {
  const Json config = SmallerConfig(options);
  CreateDirectories(options.output);
  WriteFileAtomically(options.output / "config.json", config.dump(2) + "\n");
  std::vector<std::vector<TensorSpec>> shards =
      Spread(AllTensors(config, options.bf16), options.shard_bytes);
  Json weight_map = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}{}", i + 1, shards.size(),
                                         checkpoint::kSafetensorsExtension);
    for (const TensorSpec& spec : shards[i]) {
      weight_map[spec.name] = name;
      total += checkpoint::SpecBytes(spec);
    }
    WriteShard(options.output / name, std::move(shards[i]), i + 1);
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  WriteFileAtomically(options.output / checkpoint::kIndexFileName, index.dump(1) + "\n");
  fmt::print("{}: {} in {} tensors, {} shards\n", options.output.string(), HumanBytes(total),
             weight_map.size(), shards.size());
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes a random checkpoint with the tensor shapes of a released DeepSeek-V4.");
  app.add_option("CONFIG", options.config, "config.json of a released DeepSeek-V4")->required();
  app.add_option("OUTPUT", options.output, "Directory to create")->required();
  app.add_option("--layers", options.layers, "Decoder layers")->check(CLI::Range(1, 61));
  app.add_option("--experts", options.experts, "Routed experts a layer")
      ->check(CLI::Range(8, 4096));
  app.add_option("--mtp-layers", options.mtp_layers, "Multi-token-prediction layers")
      ->check(CLI::Range(0, 1));
  app.add_option("--shard-bytes", options.shard_bytes, "Bytes of a shard")
      ->transform(CLI::AsSizeValue(false));
  app.add_flag("--bf16", options.bf16, "BF16 in place of FP8 and MXFP4");
  CLI11_PARSE(app, argc, argv);
  Synthesize(options);
  return 0;
}

}  // namespace
}  // namespace vernier::tools

int main(int argc, char** argv) {
  try {
    return vernier::tools::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "synthesize: {}\n", error.what());
  }
  return 1;
}
