// Planning a file that will be written.
#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

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

// The header has ranges relative to `data_begin`.
void AppendEntry(const TensorInfo& tensor, uint64_t data_begin, std::string* text) {
  *text += JsonText(tensor.name) + ":{\"dtype\":" + JsonText(tensor.dtype_name) + ",\"shape\":[";
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (i > 0) *text += ',';
    *text += std::to_string(tensor.shape[i]);
  }
  *text += "],\"data_offsets\":[" + std::to_string(tensor.begin - data_begin) + ',' +
           std::to_string(tensor.end - data_begin) + "]}";
}

std::string HeaderJson(std::span<const TensorInfo* const> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + MetadataJson(metadata);
  for (const TensorInfo* tensor : tensors) {
    if (text.size() > 1) text += ',';
    AppendEntry(*tensor, tensors.front()->begin, &text);
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
    layout.tensors.push_back(PlaceTensor(std::move(spec), position));
    position = layout.tensors.back().end;
  }
  std::vector<const TensorInfo*> in_order;
  in_order.reserve(layout.tensors.size());
  for (const TensorInfo& tensor : layout.tensors) in_order.push_back(&tensor);
  layout.prefix = SafetensorsPrefix(in_order, metadata);
  for (TensorInfo& tensor : layout.tensors) {
    tensor.begin += layout.prefix.size();
    tensor.end += layout.prefix.size();
  }
  layout.file_bytes = layout.prefix.size() + position;
  return layout;
}

std::string SafetensorsPrefix(std::span<const TensorInfo* const> tensors,
                              const std::map<std::string, std::string>& metadata) {
  const std::string json = HeaderJson(tensors, metadata);
  if (json.size() > kMaxHeaderBytes) {
    throw Error(ErrorCode::kBadHeader, "safetensors header",
                "it would have " + std::to_string(json.size()) + " bytes",
                "Write more, smaller shards");
  }
  return LengthPrefix(json.size()) + json;
}

}  // namespace vernier::checkpoint
