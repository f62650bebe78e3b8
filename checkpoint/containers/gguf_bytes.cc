#include "checkpoint/containers/gguf_bytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <ranges>
#include <type_traits>

#include "base/rounding.h"

namespace vernier::checkpoint::gguf {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

class ByteWriter {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void Number(T value) {
    std::array<char, sizeof(T)> bytes;
    std::memcpy(bytes.data(), &value, sizeof(T));
    bytes_.append(bytes.data(), bytes.size());
  }
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    bytes_.append(text);
  }
  void Raw(std::string_view bytes) { bytes_.append(bytes); }

  template <typename T>
  void Value(const T& value) {
    if constexpr (std::same_as<T, std::string>) {
      Text(value);
    } else if constexpr (std::same_as<T, bool>) {
      Number<uint8_t>(value ? 1 : 0);
    } else {
      Number(value);
    }
  }

  std::string Take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

template <typename T>
constexpr ValueType TypeOf() {
  if constexpr (std::same_as<T, bool>) return ValueType::kBool;
  if constexpr (std::same_as<T, uint16_t>) return ValueType::kUint16;
  if constexpr (std::same_as<T, uint32_t>) return ValueType::kUint32;
  if constexpr (std::same_as<T, int32_t>) return ValueType::kInt32;
  if constexpr (std::same_as<T, float>) return ValueType::kFloat32;
  return ValueType::kString;
}

void WriteType(ValueType type, ByteWriter& out) { out.Number(static_cast<uint32_t>(type)); }

template <typename T>
void WriteValue(const T& value, ByteWriter& out) {
  WriteType(TypeOf<T>(), out);
  out.Value(value);
}

template <typename T>
void WriteValue(const std::vector<T>& values, ByteWriter& out) {
  WriteType(ValueType::kArray, out);
  WriteType(TypeOf<T>(), out);
  out.Number<uint64_t>(values.size());
  for (const T& value : values) out.Value(value);
}

void WriteEntry(const TensorEntry& tensor, ByteWriter& out) {
  out.Text(tensor.name);
  out.Number(static_cast<uint32_t>(tensor.shape.size()));
  for (const int64_t size : std::views::reverse(tensor.shape)) {
    out.Number(static_cast<uint64_t>(size));
  }
  out.Number(tensor.type->id);
  out.Number(tensor.offset);
}

}  // namespace

// ggml.h, enum ggml_type, and ggml-common.h.
std::span<const TensorType> TensorTypes() {
  static constexpr auto kTypes = std::to_array<TensorType>({{"F32", 0, 1, 4},
                                                            {"F16", 1, 1, 2},
                                                            {"Q8_0", 8, 32, 34},
                                                            {"I32", 26, 1, 4},
                                                            {"BF16", 30, 1, 2},
                                                            {"MXFP4", 39, 32, 17},
                                                            {"NVFP4", 40, 64, 36}});
  return kTypes;
}

const TensorType* FindType(std::string_view name) {
  const auto found = std::ranges::find(TensorTypes(), name, &TensorType::name);
  return found == TensorTypes().end() ? nullptr : &*found;
}

std::string Head(const GgufMetadata& metadata, std::span<const TensorEntry> tensors) {
  ByteWriter out;
  out.Raw(kMagic);
  out.Number(kVersion);
  out.Number<uint64_t>(tensors.size());
  out.Number<uint64_t>(metadata.size());
  for (const GgufEntry& entry : metadata) {
    out.Text(entry.key);
    std::visit([&](const auto& value) { WriteValue(value, out); }, entry.value);
  }
  for (const TensorEntry& tensor : tensors) WriteEntry(tensor, out);
  std::string head = std::move(out).Take();
  head.resize(RoundUp(head.size(), kAlignment), '\0');
  return head;
}

}  // namespace vernier::checkpoint::gguf
