// Any bytes as a safetensors header: the outcome is a header or vernier::Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace {

// The first byte chooses how much data follows the header, so that both agreeing and disagreeing
// sizes come up.
void ParseAsFile(std::string_view input) {
  if (input.empty()) return;
  const auto data_bytes = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  const auto header =
      vernier::checkpoint::ParseSafetensorsHeader(input, 8 + input.size() + data_bytes, "fuzz");
  uint64_t position = header.data_begin;
  for (const auto& tensor : header.tensors) {
    if (tensor.begin != position || tensor.end < tensor.begin) __builtin_trap();
    position = tensor.end;
  }
  if (position != header.data_begin + data_bytes) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    ParseAsFile({reinterpret_cast<const char*>(data), size});
  } catch (const vernier::Error&) {
  }
  return 0;
}
