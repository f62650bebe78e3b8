// A complete Llama of one layer, to be stored in ways that tools have.
#ifndef VERNIER_TESTS_TOOLS_SMALL_LLAMA_H_
#define VERNIER_TESTS_TOOLS_SMALL_LLAMA_H_

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {

inline constexpr int64_t kSmallHidden = 64;
inline constexpr int64_t kSmallWide = 128;

// The tensors that store a linear layer with a weight of [rows, columns].
using StoreLinear = std::function<std::vector<TestTensor>(const std::string& module, int64_t rows,
                                                          int64_t columns)>;

// Random values that lie on no coarser grid.
TestTensor RandomBf16(const std::string& name, std::vector<int64_t> shape);
// Zeros of any dtype.
TestTensor ZeroTensor(const std::string& name, checkpoint::DType dtype, std::vector<int64_t> shape);

// FP8 values with one inverse scale and one of the inputs, as Mistral releases them.
std::vector<TestTensor> StaticFp8(const std::string& module, int64_t rows, int64_t columns);
// FP8 values with a scale per block of 32 x 32, under DeepSeek's name or compressed-tensors'.
StoreLinear BlockFp8(const std::string& scale_suffix);
inline constexpr int64_t kSmallBlock = 32;

// config.json of the model; `quantization` becomes its quantization_config unless it is null.
Json SmallLlamaConfig(const Json& quantization = nullptr);
// All tensors that the config asks for, linear layers stored by `store`, BF16 without it. The head
// is there too.
std::vector<TestTensor> SmallLlamaTensors(const StoreLinear& store = {});

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOOLS_SMALL_LLAMA_H_
