// Weights decoded in ATen operators against checkpoint::DecodeRows, bit for bit.
#include "calib/device_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_decoder.h"
#include "tests/calib/loop_support.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using checkpoint::Checkpoint;
using checkpoint::DType;
using checkpoint::Format;
using checkpoint::LogicalWeight;
namespace formats = checkpoint::formats;
using testing::OpenedTensors;
using testing::TestTensor;
using testing::Zeros;

constexpr std::array kOutputDtypes = {at::kBFloat16, at::kFloat};

// What a weight is decoded from.
struct WeightBytes {
  std::vector<std::byte> main;
  std::vector<std::byte> scale = {};
  float global_scale = 1;
};

template <typename T>
std::vector<std::byte> BytesOf(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> BytesOf(const at::Tensor& values) {
  const at::Tensor host = values.cpu();
  const auto* bytes = static_cast<const std::byte*>(host.data_ptr());
  return {bytes, bytes + host.nbytes()};
}

// A U8 tensor that begins `offset` bytes into its memory.
at::Tensor StoredAt(int64_t offset, const std::vector<std::byte>& bytes, at::Device device) {
  const auto size = static_cast<int64_t>(bytes.size());
  at::Tensor memory = at::empty({offset + size}, at::TensorOptions().dtype(at::kByte));
  std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(memory.data_ptr()) + offset);
  return memory.to(device).slice(0, offset);
}

// By DecodeRows, with its errors.
std::vector<std::byte> DecodeOnHost(const Checkpoint& checkpoint, const LogicalWeight& weight,
                                    const WeightBytes& bytes, at::ScalarType dtype) {
  const checkpoint::RawRows raw = {0, weight.rows(), bytes.main, bytes.scale, bytes.global_scale};
  const auto count = static_cast<size_t>(weight.rows() * checkpoint::ColumnsPerRow(weight));
  if (dtype == at::kFloat) {
    std::vector<float> values(count);
    DecodeRows(checkpoint, weight, raw, std::span(values));
    return BytesOf(values);
  }
  std::vector<uint16_t> values(count);
  DecodeRows(checkpoint, weight, raw, std::span(values));
  return BytesOf(values);
}

// How a weight "x" may be stored: the zeros of its tensors say dtypes and shapes.
struct WeightStorage {
  std::string name;
  Format format;
  std::vector<TestTensor> tensors;
  Json config = Json::object();
};

WeightStorage PlainStorage(std::string name, DType dtype, std::vector<int64_t> shape) {
  return {std::move(name), formats::kPlain, {Zeros("x.weight", dtype, std::move(shape))}};
}

// Blocks of 4 x 4.
WeightStorage Fp8Storage(std::string name, Format format, std::vector<int64_t> shape, DType scale,
                         std::vector<int64_t> scales) {
  return {std::move(name),
          format,
          {Zeros("x.weight", DType::kF8E4M3, std::move(shape)),
           Zeros("x.weight_scale", scale, std::move(scales))},
          {{"quantization_config", {{"weight_block_size", {4, 4}}}}}};
}

WeightStorage Mxfp8Storage(DType scale, int64_t rows, int64_t columns) {
  return Fp8Storage("Mxfp8", formats::kMxfp8, {rows, columns}, scale, {rows, columns / 32});
}

WeightStorage Mxfp4Storage(DType main, DType scale, int64_t rows, int64_t columns) {
  return {"Mxfp4",
          formats::kMxfp4,
          {Zeros("x.weight", main, {rows, columns / 2}),
           Zeros("x.weight_scale", scale, {rows, columns / 32})}};
}

WeightStorage Nvfp4Storage(int64_t block, int64_t rows, int64_t columns) {
  return {"Nvfp4 of " + std::to_string(block),
          block == 32 ? formats::kNvfp4Wide : formats::kNvfp4,
          {Zeros("x.weight", DType::kU8, {rows, columns / 2}),
           Zeros("x.weight_scale", DType::kF8E4M3, {rows, columns / block}),
           Zeros("x.weight_scale_2", DType::kF32, {})},
          {{"quantization_config", {{"group_size", block}}}}};
}

std::vector<WeightStorage> KnownStorages() {
  const Format kTensor = formats::kFp8Tensor, kChannel = formats::kFp8Channel,
               kBlock = formats::kFp8Block;
  return {
      PlainStorage("a BF16 matrix", DType::kBF16, {7, 5}),
      PlainStorage("an F16 matrix", DType::kF16, {7, 5}),
      PlainStorage("an F32 matrix", DType::kF32, {7, 5}),
      PlainStorage("a vector", DType::kBF16, {33}),
      PlainStorage("a scalar", DType::kF32, {}),
      PlainStorage("three dimensions", DType::kF16, {3, 2, 4}),
      PlainStorage("no values", DType::kF32, {0, 5}),
      Fp8Storage("a tensor's F32", kTensor, {6, 40}, DType::kF32, {}),
      Fp8Storage("a tensor's BF16", kTensor, {6, 40}, DType::kBF16, {1}),
      Fp8Storage("a tensor's F16", kTensor, {6, 40}, DType::kF16, {1}),
      Fp8Storage("rows' F32", kChannel, {6, 40}, DType::kF32, {6}),
      Fp8Storage("rows' BF16", kChannel, {6, 40}, DType::kBF16, {6, 1}),
      Fp8Storage("rows' F16", kChannel, {6, 40}, DType::kF16, {6}),
      Fp8Storage("blocks' F32", kBlock, {8, 16}, DType::kF32, {2, 4}),
      Fp8Storage("blocks' BF16", kBlock, {8, 16}, DType::kBF16, {2, 4}),
      Fp8Storage("blocks' F16", kBlock, {8, 16}, DType::kF16, {2, 4}),
      Fp8Storage("blocks' E8M0", kBlock, {8, 16}, DType::kF8E8M0, {2, 4}),
      Fp8Storage("four dimensions of blocks", kBlock, {8, 16}, DType::kF32, {2, 1, 4, 1}),
      Fp8Storage("a short block of rows", kBlock, {11, 16}, DType::kF32, {3, 4}),
      Fp8Storage("a short block of columns", kBlock, {8, 13}, DType::kF16, {2, 4}),
      Fp8Storage("short blocks of both", kBlock, {9, 13}, DType::kBF16, {3, 4}),
      Fp8Storage("short blocks under E8M0", kBlock, {9, 13}, DType::kF8E8M0, {3, 4}),
      Fp8Storage("less than a block", kBlock, {3, 2}, DType::kF8E8M0, {1, 1}),
      Fp8Storage("no blocks", kBlock, {0, 16}, DType::kF32, {0, 4}),
      Mxfp8Storage(DType::kU8, 5, 96),
      Mxfp8Storage(DType::kF8E8M0, 5, 96),
      Mxfp4Storage(DType::kI8, DType::kF8E8M0, 5, 96),
      Mxfp4Storage(DType::kU8, DType::kU8, 5, 96),
      Nvfp4Storage(16, 5, 48),
      Nvfp4Storage(32, 5, 96),
  };
}

// Random bytes of which every element is finite and every product stays in BF16's range. Signs and
// mantissas are of every kind; exponents reach from denormals to where the largest code still fits.
std::vector<std::byte> FiniteBytes(const checkpoint::TensorInfo& info, bool is_scale,
                                   std::mt19937& random) {
  const auto fill = [&](auto element) {
    std::vector<decltype(element(0))> values(info.Bytes() / sizeof(element(0)));
    for (auto& value : values) value = element(static_cast<uint32_t>(random()));
    return BytesOf(values);
  };
  const uint32_t exponents = is_scale ? 240 : 254;
  const auto f32 = [=](uint32_t bits) {
    return (bits & 0x807F'FFFF) | ((bits >> 23 & 0xFF) % exponents) << 23;
  };
  switch (info.dtype) {
    case DType::kF32:
      return fill(f32);
    case DType::kBF16:
      return fill([&](uint32_t bits) { return static_cast<uint16_t>(f32(bits) >> 16); });
    case DType::kF16:
      return fill([](uint32_t bits) { return static_cast<uint16_t>(bits & 0xBBFF); });
    case DType::kF8E4M3:
      return fill([](uint32_t bits) {
        return static_cast<uint8_t>((bits & 0x7F) == 0x7F ? bits & 0x80 : bits);
      });
    default:
      return fill(
          [&](uint32_t bits) { return static_cast<uint8_t>(is_scale ? bits % 246 : bits); });
  }
}

// Bytes of NaN, infinities, and what lies next to them in every dtype.
std::vector<std::byte> ExtremeBytes(const checkpoint::TensorInfo& info, std::mt19937& random) {
  constexpr uint8_t kBytes[] = {0x00, 0x01, 0x38, 0x7B, 0x7C, 0x7E, 0x7F,
                                0x80, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF};
  std::vector<std::byte> bytes(info.Bytes());
  for (std::byte& byte : bytes) byte = std::byte{kBytes[random() % std::size(kBytes)]};
  return bytes;
}

class DeviceDecoderTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }

  OpenedTensors Open(const WeightStorage& storage) {
    OpenedTensors opened = testing::OpenTensors(directory_.path(), storage.tensors, storage.config);
    EXPECT_EQ(FormatName(opened.weight().format), FormatName(storage.format));
    return opened;
  }

  DecodedWeight Decode(const Checkpoint& checkpoint, const LogicalWeight& weight,
                       const WeightBytes& bytes, at::ScalarType dtype, int64_t offset) const {
    const DeviceDecoder decoder(checkpoint, device_);
    EXPECT_TRUE(decoder.Knows(weight));
    StoredWeight stored = {.main = StoredAt(offset, bytes.main, device_),
                           .global_scale = bytes.global_scale};
    if (weight.scale != Checkpoint::kNotFound) {
      stored.scale = StoredAt(offset, bytes.scale, device_);
    }
    return decoder.Decode(weight, stored, dtype);
  }

  // The host's bits, or its refusal. Returns whether the host refused.
  bool ExpectAsOnHost(const Checkpoint& checkpoint, const LogicalWeight& weight,
                      const WeightBytes& bytes, at::ScalarType dtype, int64_t offset = 0) const {
    const DecodedWeight decoded = Decode(checkpoint, weight, bytes, dtype, offset);
    EXPECT_EQ(decoded.values.device().type(), device_.type());
    EXPECT_EQ(decoded.largest.device().type(), device_.type());
    const bool finite = at::isfinite(decoded.largest).item<bool>();
    try {
      const std::vector<std::byte> expected = DecodeOnHost(checkpoint, weight, bytes, dtype);
      EXPECT_TRUE(finite);
      ExpectSameBits(decoded.values, at::IntArrayRef(weight.shape), dtype, expected);
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(CodeName(error.code()), CodeName(ErrorCode::kBadWeightValue)) << error.what();
      EXPECT_FALSE(finite) << error.what();
      return true;
    }
  }

  bool ExpectAsOnHost(const OpenedTensors& opened, const WeightBytes& bytes, at::ScalarType dtype,
                      int64_t offset = 0) const {
    return ExpectAsOnHost(opened.checkpoint, opened.weight(), bytes, dtype, offset);
  }

  void ExpectAsOnHostInBothDtypes(const OpenedTensors& opened, const WeightBytes& bytes) const {
    for (const at::ScalarType dtype : kOutputDtypes) {
      SCOPED_TRACE(c10::toString(dtype));
      EXPECT_FALSE(ExpectAsOnHost(opened, bytes, dtype));
    }
  }

  // Each part finite, or of extreme bytes where `extreme` draws that.
  template <typename Extreme>
  WeightBytes RandomBytes(const OpenedTensors& opened, Extreme extreme) {
    const LogicalWeight& weight = opened.weight();
    const auto part = [&](size_t tensor) {
      const checkpoint::TensorInfo& info = opened.checkpoint.tensor(tensor).info;
      return extreme() ? ExtremeBytes(info, random_)
                       : FiniteBytes(info, tensor == weight.scale, random_);
    };
    WeightBytes bytes = {.main = part(weight.main)};
    if (weight.scale != Checkpoint::kNotFound) bytes.scale = part(weight.scale);
    return bytes;
  }

  static void ExpectSameBits(const at::Tensor& values, at::IntArrayRef shape, at::ScalarType dtype,
                             const std::vector<std::byte>& expected) {
    EXPECT_EQ(values.scalar_type(), dtype);
    ASSERT_EQ(values.sizes(), shape);
    const std::vector<std::byte> ours = BytesOf(values);
    ASSERT_EQ(ours.size(), expected.size());
    const auto differ = std::ranges::mismatch(ours, expected).in1;
    if (differ == ours.end()) return;
    const auto element = (differ - ours.begin()) / static_cast<int64_t>(c10::elementSize(dtype));
    ADD_FAILURE() << "element " << element << " is " << values.reshape({-1})[element].item<float>();
  }

  const at::Device device_{GetParam()};
  testing::TempDir directory_;
  std::mt19937 random_{1};
};

TEST_P(DeviceDecoderTest, EveryStorageDecodesAsOnTheHostFromAnyAlignment) {
  for (const WeightStorage& storage : KnownStorages()) {
    const OpenedTensors opened = Open(storage);
    for (const at::ScalarType dtype : kOutputDtypes) {
      for (const int64_t offset : {0, 1, 2, 4, 7}) {
        SCOPED_TRACE(storage.name + " to " + c10::toString(dtype) + " from byte " +
                     std::to_string(offset));
        WeightBytes bytes = RandomBytes(opened, [] { return false; });
        if (IsNvfp4(storage.format)) bytes.global_scale = -0.0037f;
        EXPECT_FALSE(ExpectAsOnHost(opened, bytes, dtype, offset));
      }
    }
  }
}

TEST_P(DeviceDecoderTest, RefusesWhatTheHostRefusesAndNothingElse) {
  constexpr int kTries = 40;
  for (const WeightStorage& storage : KnownStorages()) {
    const OpenedTensors opened = Open(storage);
    if (opened.weight().rows() == 0) continue;
    for (const at::ScalarType dtype : kOutputDtypes) {
      SCOPED_TRACE(storage.name + " to " + c10::toString(dtype));
      int refused = 0;
      for (int i = 0; i < kTries; ++i) {
        WeightBytes bytes = RandomBytes(opened, [this] { return random_() % 2 == 0; });
        if (IsNvfp4(storage.format)) bytes.global_scale = i % 2 == 0 ? 0x1p118f : -3.0f;
        refused += ExpectAsOnHost(opened, bytes, dtype);
      }
      EXPECT_GT(refused, 0);
      EXPECT_LT(refused, kTries);
    }
  }
}

TEST_P(DeviceDecoderTest, EveryFiniteHalf) {
  for (const auto& [dtype, exponent] : {std::pair(DType::kBF16, 0x7F80), {DType::kF16, 0x7C00}}) {
    std::vector<uint16_t> halves(0x10000);
    for (int bits = 0; bits < 0x10000; ++bits) {
      if ((bits & exponent) != exponent) halves[static_cast<size_t>(bits)] = bits;
    }
    ExpectAsOnHostInBothDtypes(Open(PlainStorage("halves", dtype, {256, 256})), {BytesOf(halves)});
  }
}

// Ties and their neighbours at every finite BF16 value but the largest.
TEST_P(DeviceDecoderTest, F32RoundsToTheNearestBf16) {
  std::vector<uint32_t> floats;
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    if ((upper & 0x7FFF) >= 0x7F7F) continue;
    for (const uint32_t lower : {0x7FFF, 0x8000, 0x8001}) floats.push_back(upper << 16 | lower);
  }
  const auto count = static_cast<int64_t>(floats.size());
  ExpectAsOnHostInBothDtypes(Open(PlainStorage("floats", DType::kF32, {count})), {BytesOf(floats)});
}

TEST_P(DeviceDecoderTest, EveryMxfp8CodeUnderEveryScale) {
  constexpr int kScales = 246, kCodes = 256, kScalesOfRow = kCodes / 32;
  WeightBytes bytes;
  for (int scale = 0; scale < kScales; ++scale) {
    for (int code = 0; code < kCodes; ++code) {
      bytes.main.push_back(static_cast<std::byte>((code & 0x7F) == 0x7F ? 0 : code));
    }
    bytes.scale.insert(bytes.scale.end(), kScalesOfRow, static_cast<std::byte>(scale));
  }
  ExpectAsOnHostInBothDtypes(Open(Mxfp8Storage(DType::kU8, kScales, kCodes)), bytes);
}

TEST_P(DeviceDecoderTest, EveryMxfp4PairUnderEveryScale) {
  constexpr int kScales = 253, kPairs = 256, kScalesOfRow = kPairs / 16;
  WeightBytes bytes;
  for (int scale = 0; scale < kScales; ++scale) {
    for (int pair = 0; pair < kPairs; ++pair) bytes.main.push_back(static_cast<std::byte>(pair));
    bytes.scale.insert(bytes.scale.end(), kScalesOfRow, static_cast<std::byte>(scale));
  }
  ExpectAsOnHostInBothDtypes(Open(Mxfp4Storage(DType::kI8, DType::kF8E8M0, kScales, 2 * kPairs)),
                             bytes);
}

TEST_P(DeviceDecoderTest, EveryNvfp4PairUnderEveryScale) {
  constexpr int kScales = 256, kPairs = 256, kScalesOfRow = kPairs / 8;
  WeightBytes bytes;
  for (int scale = 0; scale < kScales; ++scale) {
    for (int pair = 0; pair < kPairs; ++pair) bytes.main.push_back(static_cast<std::byte>(pair));
    bytes.scale.insert(bytes.scale.end(), kScalesOfRow,
                       static_cast<std::byte>((scale & 0x7F) == 0x7F ? 0 : scale));
  }
  const OpenedTensors opened = Open(Nvfp4Storage(16, kScales, 2 * kPairs));
  for (const float global_scale : {1.0f, 0.0037f, -3.7e-5f, 1e-30f, 1e-36f, 1e-40f, 1e30f}) {
    SCOPED_TRACE(global_scale);
    bytes.global_scale = global_scale;
    ExpectAsOnHostInBothDtypes(opened, bytes);
  }
}

// 2^24 codes are.
TEST_P(DeviceDecoderTest, MoreCodesThanAreLookedUpAtOnce) {
  const OpenedTensors opened = Open(Mxfp8Storage(DType::kU8, 4097, 4096));
  const WeightBytes bytes = RandomBytes(opened, [] { return false; });
  EXPECT_FALSE(ExpectAsOnHost(opened, bytes, at::kBFloat16));
}

TEST_P(DeviceDecoderTest, LargestMxfp4ScalesLeaveRoomForSomeCodes) {
  const OpenedTensors opened = Open(Mxfp4Storage(DType::kU8, DType::kU8, 1, 32));
  int refused = 0;
  for (const int scale : {252, 253, 254, 255}) {
    for (int code = 0; code < 16; ++code) {
      WeightBytes bytes = {std::vector<std::byte>(16), {static_cast<std::byte>(scale)}};
      bytes.main[9] = static_cast<std::byte>(code << 4);
      for (const at::ScalarType dtype : kOutputDtypes) {
        SCOPED_TRACE(std::to_string(code) + " under " + std::to_string(scale));
        refused += ExpectAsOnHost(opened, bytes, dtype);
      }
    }
  }
  EXPECT_EQ(refused, 2 * (4 + 8 + 16)) << "4 and 6; from 2 on; every code under NaN";
}

TEST_P(DeviceDecoderTest, Bf16HasLessRoomThanF32) {
  const std::vector<std::byte> largest = BytesOf(std::vector<float>{0x1.FFp127f, 1});
  const OpenedTensors plain = Open(PlainStorage("floats", DType::kF32, {2}));
  EXPECT_FALSE(ExpectAsOnHost(plain, {largest}, at::kFloat));
  EXPECT_TRUE(ExpectAsOnHost(plain, {largest}, at::kBFloat16));

  const std::vector<std::byte> scale = BytesOf(std::vector<float>{0x1.FFp119f});
  const std::vector<std::byte> codes(4, std::byte{0x78});  // 2^8
  const OpenedTensors fp8 =
      Open(Fp8Storage("a tensor's F32", formats::kFp8Tensor, {2, 2}, DType::kF32, {1}));
  EXPECT_FALSE(ExpectAsOnHost(fp8, {codes, scale}, at::kFloat));
  EXPECT_TRUE(ExpectAsOnHost(fp8, {codes, scale}, at::kBFloat16));
}

// A stream reads the next weight to where this one lay.
TEST_P(DeviceDecoderTest, ValuesShareNoMemoryWithTheStoredBytes) {
  const OpenedTensors opened = Open(PlainStorage("a vector", DType::kBF16, {2}));
  const DeviceDecoder decoder(opened.checkpoint, device_);
  const std::vector<uint16_t> ones(2, 0x3F80);
  const StoredWeight stored = {.main = StoredAt(0, BytesOf(ones), device_)};
  const DecodedWeight decoded = decoder.Decode(opened.weight(), stored, at::kBFloat16);
  stored.main.zero_();
  EXPECT_EQ(BytesOf(decoded.values), BytesOf(ones));
}

std::vector<std::filesystem::path> RealCheckpoints() {
  std::vector<std::filesystem::path> paths;
  for (const char* folder : {"formats", "models"}) {
    const std::filesystem::path data = std::filesystem::path(VERNIER_TEST_DATA) / folder;
    for (const auto& entry : std::filesystem::directory_iterator(data)) {
      if (std::filesystem::exists(entry.path() / "config.json")) paths.push_back(entry.path());
    }
  }
  return paths;
}

std::vector<std::byte> StoredBytes(const Checkpoint& checkpoint, size_t tensor) {
  if (tensor == Checkpoint::kNotFound) return {};
  std::vector<std::byte> bytes(checkpoint.tensor(tensor).info.Bytes());
  checkpoint.Read(tensor, 0, bytes);
  return bytes;
}

// Checkpoints of other toolkits, and models of every family.
TEST_P(DeviceDecoderTest, RealCheckpointsDecodeAsOnTheHost) {
  std::set<std::string> known, unknown;
  for (const std::filesystem::path& path : RealCheckpoints()) {
    const checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(path);
    const DeviceDecoder decoder(source.checkpoint, device_);
    for (const LogicalWeight& weight : source.layout.weights) {
      SCOPED_TRACE(path.string() + ": " + weight.name);
      if (!decoder.Knows(weight)) {
        // Parts of stacks that lie scattered go by the host, whatever their format.
        if (!weight.in_stack) unknown.emplace(FormatName(weight.format));
        continue;
      }
      known.emplace(FormatName(weight.format));
      const WeightBytes bytes = {StoredBytes(source.checkpoint, weight.main),
                                 StoredBytes(source.checkpoint, weight.scale),
                                 ReadGlobalScale(source.checkpoint, weight)};
      EXPECT_FALSE(ExpectAsOnHost(source.checkpoint, weight, bytes, at::kBFloat16));
    }
  }
  EXPECT_EQ(known, (std::set<std::string>{"plain", "fp8_tensor", "fp8_channel", "fp8_block",
                                          "mxfp8", "mxfp4", "nvfp4", "nvfp4_block32"}));
  EXPECT_EQ(unknown,
            (std::set<std::string>{"integer", "int4", "int4_asymmetric", "int4_modelopt"}));
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceDecoderTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib
