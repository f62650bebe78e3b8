// What an engine decides about each module, by its own rules.
//
// Written from reading the engines' loaders in 2026: vLLM 0.31 to 0.33
// model_executor/layers/quantization (modelopt.py, fp8.py, compressed_tensors),
// models/deepseek_v4/quant_config.py and, of which V4 too gets its experts' method from 0.32 on,
// models/deepseek_v41/quant_config.py; SGLang 0.5.23 srt/layers/quantization/modelopt_quant.py and
// configs/deepseek_v4.py; TensorRT-LLM quantization/modelopt_config.py, _torch/model_config.py and
// _torch/models/modeling_utils.py. No engine is run.
#ifndef VERNIER_AUDIT_ENGINES_ENGINE_READER_H_
#define VERNIER_AUDIT_ENGINES_ENGINE_READER_H_

#include <memory>
#include <optional>
#include <string>

#include "audit/engine.h"
#include "audit/engines/runtime_module.h"
#include "audit/subject.h"

namespace vernier::audit {

struct Decision {
  enum class Kind {
    kQuantised,    // built in `format`
    kUnquantised,  // built in the model's floating-point dtype
    kFails,        // loading ends with `reason`
    kRefuses,      // the engine has no code for such a module in its format; loading ends
    kUnknown,      // nobody here knows
  };
  Kind kind = Kind::kUnknown;
  StoredFormat format = formats::kPlain;  // of kQuantised
  std::string reason;                     // what decided it: 'excluded by "lm_head"'

  static Decision Quantised(StoredFormat format, std::string reason) {
    return {Kind::kQuantised, format, std::move(reason)};
  }
  static Decision Unquantised(std::string reason) {
    return {Kind::kUnquantised, formats::kPlain, std::move(reason)};
  }
  static Decision Fails(std::string reason) {
    return {Kind::kFails, formats::kPlain, std::move(reason)};
  }
  static Decision Refuses(std::string reason) {
    return {Kind::kRefuses, formats::kPlain, std::move(reason)};
  }
  static Decision Unknown() { return {}; }
};

class EngineReader {
 public:
  virtual ~EngineReader() = default;

  // The quantisation method that the engine chooses, in its own word: "modelopt_fp4".
  virtual std::string path() const = 0;
  // Why the engine refuses the configuration; empty when it does not.
  virtual std::string refusal() const { return {}; }
  virtual Decision Decide(const RuntimeModule& module) const = 0;
};

// `subject` must outlive the reader.
std::unique_ptr<EngineReader> MakeEngineReader(Engine engine, const EnginesAsked& engines,
                                               const Subject& subject);

// The readers it chooses from.

// No quantisation configuration that the engine sees.
std::unique_ptr<EngineReader> MakeUnquantisedReader();
// A method that is not simulated.
std::unique_ptr<EngineReader> MakeUnknownReader(std::string path);
// ModelOpt's, with `config` as the engine finds it (in config.json when `is_flat`).
std::unique_ptr<EngineReader> MakeModeloptReader(Engine engine, const QuantConfig& config,
                                                 bool is_flat);
// quant_method "fp8" of any model.
std::unique_ptr<EngineReader> MakeFp8Reader(const QuantConfig& config);
// quant_method "fp8" of DeepSeek-V4; `vllm` is the release, if the engine is that.
std::unique_ptr<EngineReader> MakeDeepseekV4Reader(Engine engine, EngineRelease vllm,
                                                   const Subject& subject);
std::unique_ptr<EngineReader> MakeCompressedTensorsReader(Engine engine, const QuantConfig& config);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_ENGINE_READER_H_
