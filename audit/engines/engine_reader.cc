#include "audit/engines/engine_reader.h"

#include <utility>

namespace vernier::audit {
namespace {

class UnquantisedReader final : public EngineReader {
 public:
  std::string path() const override { return "none"; }
  Decision Decide(const RuntimeModule& /*module*/) const override {
    return Decision::Unquantised("no quantisation configuration");
  }
};

class UnknownReader final : public EngineReader {
 public:
  explicit UnknownReader(std::string path) : path_(std::move(path)) {}
  std::string path() const override { return path_; }
  Decision Decide(const RuntimeModule& /*module*/) const override { return Decision::Unknown(); }

 private:
  std::string path_;
};

// TensorRT-LLM takes hf_quant_config.json for authoritative, the others config.json.
struct ChosenConfig {
  const QuantConfig* config;
  bool is_flat;
};

ChosenConfig Choose(Engine engine, const Subject& subject) {
  const QuantConfig& flat = subject.inline_config;
  const QuantConfig& nested = subject.file_config;
  const bool nested_first = engine == Engine::kTensorRtLlm;
  if (nested.present && (nested_first || !flat.present)) return {&nested, false};
  return {&flat, true};
}

}  // namespace

std::unique_ptr<EngineReader> MakeUnquantisedReader() {
  return std::make_unique<UnquantisedReader>();
}

std::unique_ptr<EngineReader> MakeUnknownReader(std::string path) {
  return std::make_unique<UnknownReader>(std::move(path));
}

std::unique_ptr<EngineReader> MakeEngineReader(Engine engine, const EnginesAsked& engines,
                                               const Subject& subject) {
  const QuantConfig& flat = subject.inline_config;
  const bool is_fp8 = flat.IsFp8();
  if (flat.IsCompressedTensors()) return MakeCompressedTensorsReader(engine, flat);
  if (is_fp8 && subject.IsDeepseekV4()) return MakeDeepseekV4Reader(engine, engines.vllm, subject);
  if (is_fp8 && !subject.file_config.present) return MakeFp8Reader(flat);
  const ChosenConfig chosen = Choose(engine, subject);
  if (!chosen.config->present) return MakeUnquantisedReader();
  const bool is_modelopt = !chosen.is_flat || flat.IsModelopt();
  if (is_modelopt) return MakeModeloptReader(engine, *chosen.config, chosen.is_flat);
  if (is_fp8) return MakeFp8Reader(flat);
  return MakeUnknownReader(flat.quant_method);
}

}  // namespace vernier::audit
