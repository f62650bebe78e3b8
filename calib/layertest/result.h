// What a layer test finds. Knows no libtorch, so that reports need none.
#ifndef VERNIER_CALIB_LAYERTEST_RESULT_H_
#define VERNIER_CALIB_LAYERTEST_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace vernier::calib {

// How the outputs of a stage, all rows together, differ from the source model's.
struct ErrorStats {
  int64_t rows = 0;
  double cosine = 1;          // of all outputs as one vector; 0 when one of the two is all zeros
  double relative_error = 0;  // ||y - y'|| / ||y||; infinite when only y is all zeros
  double sqnr_db = std::numeric_limits<double>::infinity();  // 20 log10(||y|| / ||y - y'||)
  double max_abs_error = 0;
};

// What is quantised.
enum class Variant {
  kWeights,      // W4A16: the quantised checkpoint's weights, inputs as they are
  kActivations,  // the source's weights, inputs quantised as the quantised checkpoint asks
  kBoth,         // W4A4: what an engine computes
};
inline constexpr size_t kVariants = 3;

struct StageErrors {
  std::optional<ErrorStats> weights;
  // Nothing where no linear layer of the stage has inputs that are quantised in an emulated way.
  std::optional<ErrorStats> activations, both;
};

struct LinearResult {
  std::string module;
  std::string role;           // checkpoint::RoleName
  std::string projection;     // "q_proj", "w2"
  int64_t expert = -1;        // routed expert, or -1
  std::string weight_format;  // in the quantised checkpoint
  std::string activations;    // ActivationFormatName
  StageErrors errors;
};

struct ExpertResult {
  int64_t expert = 0;
  StageErrors errors;  // from its input to its output, without the routing weight
};

struct LayerTestResult {
  int64_t layer = 0;
  int64_t layers = 0;  // of the model
  int64_t samples = 0;
  int64_t tokens = 0;   // without padding
  int64_t experts = 0;  // routed experts of the layer, whether they got tokens or not
  // On the source's own inputs, in the order of the forward pass; routed experts that got no token
  // are absent.
  std::vector<LinearResult> linears = {};
  std::vector<ExpertResult> routed_experts = {};
  // The FFN before its routed experts are added: shared experts. Absent where there are none.
  std::optional<StageErrors> shared_experts = {};
  StageErrors ffn = {};  // the whole MoE block or MLP, on the source's input to it
  // From the source's hidden states before the layer, errors carried along inside it. Residual
  // streams are part of both.
  StageErrors behind_attention = {};
  StageErrors output = {};
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYERTEST_RESULT_H_
