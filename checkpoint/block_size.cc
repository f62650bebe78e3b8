#include "checkpoint/block_size.h"

#include <string>

#include "base/error.h"
#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

// The field of an object, or nullptr when there is no object, no field or a null.
const Json* Find(const Json* object, const char* key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto field = object->find(key);
  return field == object->end() || field->is_null() ? nullptr : &*field;
}

BlockSize Parse(const Json& value, const std::string& path) {
  const auto is_extent = [](const Json& extent) {
    return extent.is_number_integer() && extent.get<int64_t>() > 0;
  };
  if (value.is_array() && value.size() == 2 && is_extent(value[0]) && is_extent(value[1])) {
    return {value[0].get<int64_t>(), value[1].get<int64_t>()};
  }
  throw Error(ErrorCode::kBadConfig, "config.json", path + " is " + value.dump(),
              "Give it two positive integers, such as [128, 128]");
}

}  // namespace

BlockSize ReadFp8BlockSize(const Json& config) {
  const ConfigFact quantization = FindQuantizationConfig(config);
  const std::string place = quantization.pointer.substr(quantization ? 1 : 0);
  if (const Json* size = Find(quantization.value, "weight_block_size")) {
    return Parse(*size, place + ".weight_block_size");
  }
  const Json* groups = Find(quantization.value, "config_groups");
  if (groups == nullptr || !groups->is_object()) return {};
  for (const auto& [name, group] : groups->items()) {
    const Json* structure = Find(Find(&group, "weights"), "block_structure");
    if (structure == nullptr) continue;
    return Parse(*structure, place + ".config_groups." + name + ".block_structure");
  }
  return {};
}

}  // namespace vernier::checkpoint
