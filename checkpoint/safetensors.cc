#include "checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/strict_sax.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kLfsPointer = "version https://git-lfs";
constexpr size_t kMaxRank = 32;
constexpr std::string_view kDamagedRemedy = "Download or copy the file again";
constexpr std::string_view kMetadataKey = "__metadata__";

static_assert(std::endian::native == std::endian::little, "the container is little-endian");

// Collects the tensors of a header; their ranges are still relative to the data and unchecked.
class HeaderHandler : public StrictSax {
 public:
  explicit HeaderHandler(std::string_view origin)
      : StrictSax(ErrorCode::kBadHeader, origin, kDamagedRemedy) {}

  std::vector<TensorInfo> TakeTensors() { return std::move(tensors_); }
  std::map<std::string, std::string> TakeMetadata() { return std::move(metadata_); }

  bool start_object(size_t /*elements*/) override {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        if (key_ == kMetadataKey) {
          BeginMetadata();
        } else {
          BeginTensor();
        }
        return true;
      default:
        Unexpected("an object");
    }
  }

  bool key(std::string& value) override {
    if (place_ == Place::kTop) {
      key_ = std::move(value);
    } else {
      field_ = std::move(value);
    }
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      if (!metadata_.emplace(field_, value).second) {
        Fail(Where() + " has the key " + QuotedName(field_) + " twice");
      }
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") Unexpected("the text " + QuotedName(value));
    SetOnce(&has_dtype_);
    tensor_.dtype = DTypeFromName(value);
    tensor_.dtype_name = std::move(value);
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ == Place::kTensor && field_ == "shape") {
      SetOnce(&has_shape_);
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && field_ == "data_offsets") {
      SetOnce(&has_offsets_);
      place_ = Place::kOffsets;
    } else {
      Unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::kShape) {
      AddExtent(value);
    } else if (place_ == Place::kOffsets) {
      AddOffset(value);
    } else {
      Unexpected("the number " + std::to_string(value));
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2) {
      Fail(Where() + " has " + std::to_string(offsets_) + " data_offsets instead of 2");
    }
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) FinishTensor();
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

 protected:
  std::string Where() const override {
    switch (place_) {
      case Place::kStart:
      case Place::kEnd:
        return "the header";
      case Place::kTop:
        return "the header's entry " + QuotedName(key_);
      case Place::kMetadata:
        return "the header's __metadata__";
      default:
        return "tensor " + QuotedName(key_);
    }
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  void BeginMetadata() {
    field_ = kMetadataKey;
    place_ = Place::kMetadata;
    SetOnce(&has_metadata_);
  }

  void BeginTensor() {
    place_ = Place::kTensor;
    tensor_ = {};
    tensor_.name = key_;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    offsets_ = 0;
  }

  void SetOnce(bool* seen) {
    if (*seen) Fail(Where() + " has the field " + QuotedName(field_) + " twice");
    *seen = true;
  }

  void AddExtent(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      Fail(Where() + " has the impossible extent " + std::to_string(value));
    }
    if (tensor_.shape.size() == kMaxRank) {
      Fail(Where() + " has more than " + std::to_string(kMaxRank) + " dimensions");
    }
    tensor_.shape.push_back(static_cast<int64_t>(value));
  }

  void AddOffset(uint64_t value) {
    if (offsets_ == 0) tensor_.begin = value;
    if (offsets_ == 1) tensor_.end = value;
    ++offsets_;
  }

  void FinishTensor() {
    if (!has_dtype_ || !has_shape_ || !has_offsets_) {
      Fail(Where() + " lacks dtype, shape or data_offsets");
    }
    tensors_.push_back(std::move(tensor_));
  }

  Place place_ = Place::kStart;
  std::string key_;
  std::string field_;
  TensorInfo tensor_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  bool has_metadata_ = false;
  size_t offsets_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

[[noreturn]] void FailTensor(std::string_view origin, const TensorInfo& tensor,
                             const std::string& problem) {
  throw Error(ErrorCode::kBadHeader, origin, "tensor " + QuotedName(tensor.name) + " " + problem,
              kDamagedRemedy);
}

void CheckUniqueNames(const std::vector<TensorInfo>& tensors, std::string_view origin) {
  std::unordered_set<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second) FailTensor(origin, tensor, "is listed twice");
  }
}

// The range's length must be what dtype and shape say; an opaque dtype's size is whatever it is.
void CheckSize(const TensorInfo& tensor, std::string_view origin) {
  if (tensor.end < tensor.begin) {
    FailTensor(origin, tensor,
               "ends at " + std::to_string(tensor.end) + " before it begins at " +
                   std::to_string(tensor.begin));
  }
  if (tensor.dtype == DType::kOpaque) {
    if (!CheckedElements(tensor.shape)) FailTensor(origin, tensor, "has too many elements");
    return;
  }
  const std::optional<uint64_t> bytes = CheckedBytes(tensor.dtype, tensor.shape);
  if (!bytes) FailTensor(origin, tensor, "has a shape whose size in bytes is impossible");
  if (*bytes != tensor.Bytes()) {
    FailTensor(origin, tensor,
               "spans " + std::to_string(tensor.Bytes()) + " bytes, but its dtype and shape need " +
                   std::to_string(*bytes));
  }
}

// Sorts by position and refuses overlaps and holes; returns where the data ends.
uint64_t CheckRanges(std::vector<TensorInfo>* tensors, std::string_view origin) {
  std::sort(tensors->begin(), tensors->end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const TensorInfo& tensor : *tensors) {
    if (tensor.begin < position) FailTensor(origin, tensor, "overlaps the tensor before it");
    if (tensor.begin > position) {
      FailTensor(
          origin, tensor,
          "leaves a hole of " + std::to_string(tensor.begin - position) + " bytes before it");
    }
    position = tensor.end;
  }
  return position;
}

[[noreturn]] void FailTruncated(std::string_view origin, uint64_t expected, uint64_t actual) {
  throw Error(ErrorCode::kTruncated, origin,
              "has " + std::to_string(actual) + " bytes instead of the " +
                  std::to_string(expected) + " that its header says",
              kDamagedRemedy);
}

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::string_view json, uint64_t file_bytes,
                                         std::string_view origin) {
  if (json.size() > kMaxHeaderBytes) {
    throw Error(ErrorCode::kBadHeader, origin,
                "the header of " + std::to_string(json.size()) + " bytes exceeds the limit of " +
                    std::to_string(kMaxHeaderBytes),
                kDamagedRemedy);
  }
  if (json.empty() || json.front() != '{') {
    throw Error(ErrorCode::kBadHeader, origin, "the header does not begin with '{'",
                "Check that it is a safetensors file");
  }
  HeaderHandler handler(origin);
  handler.Parse(json);

  SafetensorsHeader header;
  header.tensors = handler.TakeTensors();
  header.metadata = handler.TakeMetadata();
  header.data_begin = kHeaderPrefixBytes + json.size();
  CheckUniqueNames(header.tensors, origin);
  for (const TensorInfo& tensor : header.tensors) CheckSize(tensor, origin);
  const uint64_t data_bytes = CheckRanges(&header.tensors, origin);
  uint64_t expected = 0;
  if (__builtin_add_overflow(header.data_begin, data_bytes, &expected)) {
    throw Error(ErrorCode::kBadHeader, origin, "the data's size overflows", kDamagedRemedy);
  }
  if (expected != file_bytes) FailTruncated(origin, expected, file_bytes);
  for (TensorInfo& tensor : header.tensors) {
    tensor.begin += header.data_begin;
    tensor.end += header.data_begin;
  }
  const uint64_t json_bytes = json.size();
  Hasher hasher;
  hasher.Update(std::as_bytes(std::span(&json_bytes, 1)));
  hasher.Update(json);
  header.hash = hasher.Hex();
  return header;
}

SafetensorsHeader ReadSafetensorsHeader(const File& file) {
  const std::string origin = file.path().string();
  const uint64_t file_bytes = file.Size();
  if (file_bytes < kHeaderPrefixBytes) {
    throw Error(ErrorCode::kTruncated, origin,
                "has " + std::to_string(file_bytes) + " bytes, less than a header's length prefix",
                kDamagedRemedy);
  }
  uint64_t json_bytes = 0;
  file.ReadAt(0, std::as_writable_bytes(std::span(&json_bytes, 1)));
  if (std::memcmp(&json_bytes, kLfsPointer.data(), kHeaderPrefixBytes) == 0) {
    throw Error(ErrorCode::kBadHeader, origin, "is a pointer of Git LFS, not the file itself",
                "Fetch the file: git lfs pull");
  }
  if (json_bytes > kMaxHeaderBytes) {
    throw Error(ErrorCode::kBadHeader, origin,
                "the header length " + std::to_string(json_bytes) + " exceeds the limit of " +
                    std::to_string(kMaxHeaderBytes),
                "Check that it is a safetensors file");
  }
  if (json_bytes > file_bytes - kHeaderPrefixBytes) {
    throw Error(ErrorCode::kTruncated, origin,
                "has " + std::to_string(file_bytes) + " bytes, but its header alone ends at " +
                    std::to_string(kHeaderPrefixBytes + json_bytes),
                kDamagedRemedy);
  }
  std::string json(json_bytes, '\0');
  file.ReadAt(kHeaderPrefixBytes, std::as_writable_bytes(std::span(json)));
  return ParseSafetensorsHeader(json, file_bytes, origin);
}

}  // namespace vernier::checkpoint
