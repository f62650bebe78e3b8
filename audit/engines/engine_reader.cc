#include "audit/engines/engine_reader.h"

#include <utility>

#include "audit/engines/block_sides.h"

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

// What the chosen method decides, unless the weights' sides keep the engine from it.
class WholeBlocksReader final : public EngineReader {
 public:
  WholeBlocksReader(std::unique_ptr<EngineReader> method, Engine engine, const Subject& subject)
      : method_(std::move(method)), engine_(engine), subject_(subject) {}

  std::string path() const override { return method_->path(); }
  std::string refusal() const override { return method_->refusal(); }
  Decision Decide(const RuntimeModule& module) const override {
    Decision decision = method_->Decide(module);
    const bool in_blocks =
        decision.kind == Decision::Kind::kQuantised && decision.format == formats::kFp8Block;
    if (!in_blocks) return decision;
    std::string odd = OddBlockSides(engine_, subject_, module);
    return odd.empty() ? decision : Decision::Refuses(std::move(odd));
  }

 private:
  std::unique_ptr<EngineReader> method_;
  Engine engine_;
  const Subject& subject_;
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

std::unique_ptr<EngineReader> MakeMethodReader(Engine engine, const EnginesAsked& engines,
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

}  // namespace

std::unique_ptr<EngineReader> MakeUnquantisedReader() {
  return std::make_unique<UnquantisedReader>();
}

std::unique_ptr<EngineReader> MakeUnknownReader(std::string path) {
  return std::make_unique<UnknownReader>(std::move(path));
}

std::unique_ptr<EngineReader> MakeEngineReader(Engine engine, const EnginesAsked& engines,
                                               const Subject& subject) {
  return std::make_unique<WholeBlocksReader>(MakeMethodReader(engine, engines, subject), engine,
                                             subject);
}

}  // namespace vernier::audit
