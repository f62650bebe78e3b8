// Planning a file that will be written.
#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/json.h"
#include "base/rounding.h"
#include "checkpoint/safetensors.h"

namespace vernier::checkpoint {
namespace {

constexpr size_t kAlignment = 8;

// With larger elements first, every tensor begins at a multiple of its element size.
void SortForAlignment(std::vector<TensorSpec>* specs) {
  std::sort(specs->begin(), specs->end(), [](const TensorSpec& a, const TensorSpec& b) {
    return std::forward_as_tuple(-DTypeBits(a.dtype), a.name) <
           std::forward_as_tuple(-DTypeBits(b.dtype), b.name);
  });
}

void CheckUniqueNames(const std::vector<TensorSpec>& specs) {
  std::vector<std::string_view> names;
  names.reserve(specs.size());
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return;
  throw Error(ErrorCode::kBadHeader, *twice, "two tensors of one file have this name",
              "Rename one of them");
}

// JSON text of a string, escaped; bytes that are no UTF-8 cannot be written.
std::string JsonText(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kBadHeader, "safetensors header", "a name or value is not valid UTF-8",
                "Rename the tensor or drop the metadata");
  }
}

std::string MetadataJson(const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  for (const auto& [key, value] : metadata) {
    if (text.size() > 1) text += ',';
    text += JsonText(key) + ':' + JsonText(value);
  }
  return text + '}';
}

// `begin` and `end` relative to the data, as the header has them.
void AppendEntry(const TensorInfo& tensor, std::string* text) {
  *text += JsonText(tensor.name) + ":{\"dtype\":" + JsonText(tensor.dtype_name) + ",\"shape\":[";
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (i > 0) *text += ',';
    *text += std::to_string(tensor.shape[i]);
  }
  *text += "],\"data_offsets\":[" + std::to_string(tensor.begin) + ',' +
           std::to_string(tensor.end) + "]}";
}

std::string HeaderJson(const std::vector<TensorInfo>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + MetadataJson(metadata);
  for (const TensorInfo& tensor : tensors) {
    if (text.size() > 1) text += ',';
    AppendEntry(tensor, &text);
  }
  text += '}';
  text.resize(RoundUp(text.size(), kAlignment), ' ');
  return text;
}

std::string LengthPrefix(uint64_t bytes) {
  std::string prefix(kHeaderPrefixBytes, '\0');
  for (size_t i = 0; i < kHeaderPrefixBytes; ++i) prefix[i] = static_cast<char>(bytes >> (8 * i));
  return prefix;
}

}  // namespace

SafetensorsLayout PlanSafetensors(std::vector<TensorSpec> tensors,
                                  const std::map<std::string, std::string>& metadata) {
  CheckUniqueNames(tensors);
  SortForAlignment(&tensors);
  SafetensorsLayout layout;
  layout.tensors.reserve(tensors.size());
  uint64_t position = 0;
  for (TensorSpec& spec : tensors) {
    const uint64_t bytes = SpecBytes(spec);
    TensorInfo info;
    info.dtype = spec.dtype;
    info.dtype_name = spec.dtype == DType::kOpaque ? std::move(spec.opaque_dtype_name)
                                                   : std::string(DTypeName(spec.dtype));
    info.name = std::move(spec.name);
    info.shape = std::move(spec.shape);
    info.begin = position;
    info.end = position += bytes;
    layout.tensors.push_back(std::move(info));
  }
  const std::string json = HeaderJson(layout.tensors, metadata);
  if (json.size() > kMaxHeaderBytes) {
    throw Error(ErrorCode::kBadHeader, "safetensors header",
                "it would have " + std::to_string(json.size()) + " bytes",
                "Write more, smaller shards");
  }
  layout.prefix = LengthPrefix(json.size()) + json;
  for (TensorInfo& tensor : layout.tensors) {
    tensor.begin += layout.prefix.size();
    tensor.end += layout.prefix.size();
  }
  layout.file_bytes = layout.prefix.size() + position;
  return layout;
}

}  // namespace vernier::checkpoint
