// A complete Llama, to be stored in ways that tools have.
#ifndef VERNIER_TESTS_SUPPORT_SMALL_LLAMA_H_
#define VERNIER_TESTS_SUPPORT_SMALL_LLAMA_H_

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/test_tensors.h"

namespace vernier::testing {

inline constexpr int64_t kSmallHidden = 64;
inline constexpr int64_t kSmallWide = 128;

// hidden and wide: multiples of 4 heads and of kSmallBlock.
struct LlamaShape {
  int64_t layers = 1;
  int64_t hidden = kSmallHidden;
  int64_t wide = kSmallWide;
};

// The tensors that store a linear layer with a weight of [rows, columns].
using StoreLinear = std::function<std::vector<TestTensor>(const std::string& module, int64_t rows,
                                                          int64_t columns)>;

// BF16, as it was trained.
std::vector<TestTensor> PlainLinear(const std::string& module, int64_t rows, int64_t columns);
// FP8 values with one inverse scale and one of the inputs, as Mistral releases them.
std::vector<TestTensor> StaticFp8(const std::string& module, int64_t rows, int64_t columns);
// FP8 values with a scale per block of 32 x 32, under DeepSeek's name or compressed-tensors'.
StoreLinear BlockFp8(const std::string& scale_suffix);
inline constexpr int64_t kSmallBlock = 32;

// config.json of the model; `quantization` becomes its quantization_config unless it is null.
Json SmallLlamaConfig(const Json& quantization = nullptr, const LlamaShape& shape = {});
// All tensors that the config asks for, linear layers stored by `store`. The head is there too.
std::vector<TestTensor> SmallLlamaTensors(const StoreLinear& store = PlainLinear,
                                          const LlamaShape& shape = {});

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_SMALL_LLAMA_H_
