// Defects that show beside the source alone.
#include <algorithm>
#include <cstddef>
#include <string>

#include "tests/audit/corpus.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;

const char kExpert[] = "layers.0.ffn.experts.0.w2";

DefectCase AgainstSource(std::string name, std::function<void(ModelFiles&)> corrupt, Rules rules) {
  return {.name = std::move(name),
          .corrupt = std::move(corrupt),
          .rules = std::move(rules),
          .against_source = true};
}

void ZeroBlocks(ModelFiles& model, size_t count) {
  constexpr size_t kBytesPerBlock = 8;
  auto& nibbles = model.At(std::string(kExpert) + ".weight").bytes;
  std::fill_n(nibbles.begin(), count * kBytesPerBlock, std::byte{0});
}

}  // namespace

std::vector<DefectCase> SourceDefects() {
  return {
      AgainstSource("SinkWasLost", [](ModelFiles& m) { m.Remove("layers.0.attn.attn_sink"); },
                    {"C01", "C03"}),
      AgainstSource("TensorWasInvented",
                    [](ModelFiles& m) {
                      m.tensors.push_back(
                          MakeTensor("invented", DType::kF32, {1}, std::vector<float>{1.0f}));
                    },
                    {"C01", "C03"}),
      AgainstSource("CarriedByteChanged",
                    [](ModelFiles& m) { m.At("norm.weight").bytes[0] ^= std::byte{1}; }, {"C02"}),
      AgainstSource("CarriedDtypeChanged",
                    [](ModelFiles& m) { m.At("norm.weight").spec.dtype = DType::kF16; },
                    {"C02", "V12"}),
      AgainstSource(
          "GlobalScaleOfAnotherWeight",
          [](ModelFiles& m) { SetFloat(&m.At(std::string(kExpert) + ".weight_scale_2"), 1.0f); },
          {"V12"}),
      AgainstSource("NibblesSwapped",
                    [](ModelFiles& m) {
                      for (std::byte& byte : m.At(std::string(kExpert) + ".weight").bytes) {
                        byte = (byte << 4) | (byte >> 4);
                      }
                    },
                    {"V12"}),
      AgainstSource("ScalesAreClipped",
                    [](ModelFiles& m) {
                      for (std::byte& scale : m.At(std::string(kExpert) + ".weight_scale").bytes) {
                        scale = std::byte{0x7E};
                      }
                      SetFloat(&m.At(std::string(kExpert) + ".weight_scale_2"), 0x1p-7f / 448);
                    },
                    {"S03", "V12"}),
      AgainstSource("BlockBecameZero", [](ModelFiles& m) { ZeroBlocks(m, 1); }, {"S04"}),
      AgainstSource("BlocksAndScalesBecameZero",
                    [](ModelFiles& m) {
                      ZeroBlocks(m, 3);
                      auto& scales = m.At(std::string(kExpert) + ".weight_scale").bytes;
                      std::fill_n(scales.begin(), 3, std::byte{0});
                    },
                    {"S04"}),
  };
}

}  // namespace vernier::audit
