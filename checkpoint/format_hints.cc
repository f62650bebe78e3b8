#include "checkpoint/format_hints.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kWideBlock = 32;
constexpr std::string_view kWideAlgo = "W4A8_NVFP4_FP8";  // ModelOpt: blocks of 32, FP8 inputs

// The rest of what ModelOpt calls itself ("modelopt_fp4") is told by its beginning.
constexpr std::string_view kModelopt = "modelopt";
constexpr std::array<std::string_view, 7> kMethods = {
    "fp8", "deepseek_v4_fp8", "fbgemm_fp8", "compressed-tensors", "mxfp4", "mxfp8", "auto-round"};

bool IsWide(const Json& object) {
  if (!object.is_object()) return false;
  const auto algo = object.find("quant_algo");
  if (algo != object.end() && *algo == kWideAlgo) return true;
  const auto size = object.find("group_size");
  return size != object.end() && *size == kWideBlock;
}

// In the configuration itself or in one of its layers.
bool AnnouncesWideBlocks(const Json& quantization) {
  if (IsWide(quantization)) return true;
  if (!quantization.is_object()) return false;
  const auto layers = quantization.find("quantized_layers");
  return layers != quantization.end() && layers->is_object() &&
         std::any_of(layers->begin(), layers->end(), IsWide);
}

bool FileAnnouncesWideBlocks(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kQuantConfigFileName;
  if (!std::filesystem::exists(path)) return false;
  const Json file = ReadJsonFile(path);
  const auto quantization = file.find("quantization");
  return quantization != file.end() && AnnouncesWideBlocks(*quantization);
}

}  // namespace

FormatHints ReadFormatHints(const Checkpoint& checkpoint) {
  FormatHints hints;
  hints.fp8_block = ReadFp8BlockSize(checkpoint.config());
  hints.quant_method = QuantMethod(checkpoint.config());
  const ConfigFact quantization = FindQuantizationConfig(checkpoint.config());
  hints.nvfp4_blocks_of_32 = (quantization && AnnouncesWideBlocks(*quantization.value)) ||
                             FileAnnouncesWideBlocks(checkpoint.directory());
  return hints;
}

bool ReadsQuantMethod(std::string_view quant_method) {
  return quant_method.empty() || quant_method.starts_with(kModelopt) ||
         std::find(kMethods.begin(), kMethods.end(), quant_method) != kMethods.end();
}

}  // namespace vernier::checkpoint
