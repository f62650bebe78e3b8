#include "tests/support/gguf_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/file.h"
#include "base/rounding.h"

namespace vernier::testing {
namespace {

constexpr uint64_t kGgufAlignment = 32;

class GgufParser {
 public:
  explicit GgufParser(std::string text) : text_(std::move(text)) {}

  GgufFile Parse() {
    EXPECT_EQ(Take(4), "GGUF");
    EXPECT_EQ(Number<uint32_t>(), 3U);
    const auto tensors = Number<uint64_t>(), values = Number<uint64_t>();
    GgufFile file;
    for (uint64_t i = 0; i < values && good_; ++i) {
      const std::string key = Text();
      EXPECT_TRUE(file.metadata.emplace(key, Value(Number<uint32_t>())).second) << key;
    }
    for (uint64_t i = 0; i < tensors && good_; ++i) AddTensor(file);
    ReadData(file);
    return file;
  }

 private:
  std::string_view Take(uint64_t bytes) {
    good_ = good_ && bytes <= text_.size() - at_;
    EXPECT_TRUE(good_) << "the file ends too early";
    if (!good_) return {};
    at_ += bytes;
    return std::string_view(text_).substr(at_ - bytes, bytes);
  }

  template <typename T>
  T Number() {
    const std::string_view bytes = Take(sizeof(T));
    T value{};
    if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::string Text() { return std::string(Take(Number<uint64_t>())); }

  Json Value(uint32_t type) {
    switch (type) {
      case 2:
        return Number<uint16_t>();
      case 4:
        return Number<uint32_t>();
      case 5:
        return Number<int32_t>();
      case 6:
        return Number<float>();
      case 7:
        return Number<uint8_t>() != 0;
      case 8:
        return Text();
      case 9:
        return List();
      default:
        ADD_FAILURE() << "a value of type " << type;
        good_ = false;
        return {};
    }
  }

  Json List() {
    Json list = Json::array();
    const auto type = Number<uint32_t>();
    for (auto left = Number<uint64_t>(); left > 0 && good_; --left) list.push_back(Value(type));
    return list;
  }

  void AddTensor(GgufFile& file) {
    const std::string name = Text();
    GgufFileTensor tensor;
    for (auto left = Number<uint32_t>(); left > 0 && good_; --left) {
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(Number<uint64_t>()));
    }
    tensor.type = Number<uint32_t>();
    tensor.offset = Number<uint64_t>();
    EXPECT_EQ(tensor.offset % kGgufAlignment, 0U) << name;
    EXPECT_TRUE(file.tensors.emplace(name, std::move(tensor)).second) << name;
  }

  // ggml.c's type_traits.
  static uint64_t BytesOf(const GgufFileTensor& tensor) {
    struct Size {
      uint64_t values, bytes;
    };
    static const std::map<uint32_t, Size> kSizes = {{0, {1, 4}},   {1, {1, 2}},  {8, {32, 34}},
                                                    {26, {1, 4}},  {30, {1, 2}}, {39, {32, 17}},
                                                    {40, {64, 36}}};
    uint64_t values = 1;
    for (const int64_t size : tensor.shape) values *= static_cast<uint64_t>(size);
    const Size& size = kSizes.at(tensor.type);
    return values / size.values * size.bytes;
  }

  void ReadData(GgufFile& file) {
    const uint64_t begin = RoundUp(at_, kGgufAlignment);
    std::string left = text_;
    std::fill_n(left.begin(), at_, '\0');
    for (auto& [name, tensor] : file.tensors) {
      const uint64_t bytes = BytesOf(tensor);
      ASSERT_LE(begin + tensor.offset + bytes, text_.size()) << name;
      tensor.bytes = text_.substr(begin + tensor.offset, bytes);
      left.replace(begin + tensor.offset, bytes, bytes, '\0');
    }
    EXPECT_TRUE(std::ranges::all_of(left, [](char byte) { return byte == '\0'; }));
  }

  std::string text_;
  uint64_t at_ = 0;
  bool good_ = true;
};

}  // namespace

GgufFile ReadGgufFile(const std::filesystem::path& path) {
  return GgufParser(ReadWholeFile(path)).Parse();
}

}  // namespace vernier::testing
