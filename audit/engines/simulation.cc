#include "audit/engines/simulation.h"

#include <map>
#include <string>
#include <utility>

#include "audit/engines/engine_reader.h"
#include "audit/engines/explanation.h"
#include "audit/engines/tensor_parallel.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kAllRefuse = {"V13", Severity::kError,
                               "every engine asked for refuses the configuration",
                               "Write the quantisation configuration with the fields they demand"};
constexpr Defect kSomeRefuse = {
    "V13", Severity::kWarning, "an engine refuses the configuration, which others take",
    "Serve with another engine, or write the configuration with what it demands"};
constexpr Defect kNobodyHasCode = {
    "V05", Severity::kError,
    "no engine asked for loads a module in the format that it is stored in",
    "Convert it to another format or dialect: docs/audit.md has a table of what engines load"};
constexpr Defect kSomeHaveNoCode = {
    "V05", Severity::kWarning,
    "an engine does not load a module in the format that it is stored in, which others do",
    "Serve with another engine, or convert it to a format or dialect that this one loads"};
constexpr Defect kBuiltOtherwise = {
    "V05", Severity::kError, "an engine would not read a module as it is stored",
    "Correct the exclusion patterns, quantized_layers or groups that decide it"};
constexpr Defect kHeadBuiltOtherwise = {
    "V04", Severity::kError, "an engine would not read the head as it is stored",
    "Exclude lm_head from quantisation exactly when it is not quantised"};
constexpr Defect kMtpBuiltOtherwise = {
    "V03", Severity::kWarning, "an engine would not read MTP weights as they are stored",
    "Serve without speculative decoding there, or list MTP layers with the format they have"};
constexpr Defect kMtpPlain = {"V06", Severity::kWarning,
                              "MTP weights are not quantised, but an engine would take them for it",
                              "Exclude the MTP layers, or serve without speculative decoding"};
constexpr Defect kRouterNotExcluded = {
    "V05", Severity::kWarning, "a router is not excluded from quantisation",
    "Add it to the exclusions: model code that gives routers a quantisation method fails on it"};

constexpr std::string_view kNotJudged = "not judged";

bool IsPlain(StoredFormat format) { return !IsQuantised(format); }

std::string Describe(const RuntimeModule& module, StoredFormat stored, const Decision& decision) {
  using Kind = Decision::Kind;
  if (decision.kind == Kind::kFails || decision.kind == Kind::kRefuses) {
    return module.name + " (" + decision.reason + ")";
  }
  return module.name + " (stored " + std::string(FormatName(stored)) + ", read as " +
         BuiltAs(decision) + ": " + decision.reason + ")";
}

// The defect that a disagreement about `module` is; null where another rule speaks.
const Defect* DefectOf(const Subject& subject, const RuntimeModule& module, StoredFormat stored) {
  const Role role = module.members.front()->meaning.role;
  if (module.is_mtp) return IsPlain(stored) ? &kMtpPlain : &kMtpBuiltOtherwise;
  if (module.kind == ModuleKind::kLmHead) return &kHeadBuiltOtherwise;
  const checkpoint::TensorMeaning& meaning = module.members.front()->meaning;
  if (checkpoint::IsNvfp4(stored) && (!meaning.linear || meaning.keeps_precision)) {
    return nullptr;  // V10
  }
  // V15 says that no engine has such a path.
  const bool beside_experts =
      role == Role::kAttention || role == Role::kIndexer || role == Role::kSharedExpert;
  if (subject.IsDeepseekV4() && stored == formats::kNvfp4 && beside_experts) return nullptr;
  return &kBuiltOtherwise;
}

// A router that is a linear layer in the model's code: one with a correction bias, of its own or
// beside it, is not, and none of the models that are released quantised.
bool IsLinearRouter(const Subject& subject, const Module& module) {
  static const std::string kBias = "e_score_correction_bias";
  const std::string beside = module.name.substr(0, module.name.rfind('.') + 1);
  return subject.dialect != QuantDialect::kNative && module.meaning.role == Role::kRouter &&
         module.meaning.linear && module.format == formats::kPlain &&
         subject.index.Find(module.name + "." + kBias) == nullptr &&
         subject.index.Find(beside + kBias) == nullptr;
}

// Engines that agree with each other about a module, and not with its bytes; the reason is the
// first one's.
struct Misreading {
  std::string text;
  EngineSet engines;
};

class Simulation {
 public:
  Simulation(const Subject& subject, const EnginesAsked& engines, FindingList* findings)
      : subject_(subject), findings_(findings), modules_(BuildRuntimeModules(subject)) {
    for (const Engine engine : kEngines) {
      if (!engines.set.Has(engine)) continue;
      readers_.emplace_back(engine, MakeEngineReader(engine, engines, subject));
      verdicts_.push_back({.engine = engine,
                           .release = engines.Release(engine),
                           .path = readers_.back().second->path(),
                           .refusal = readers_.back().second->refusal(),
                           .modules = {},
                           .disagreements = 0,
                           .tensor_parallel = {}});
    }
  }

  std::vector<EngineVerdict> Run(int tensor_parallel) {
    for (const RuntimeModule& module : modules_) Judge(module);
    ReportRefusals();
    for (const Module& module : subject_.index.modules) {
      if (IsLinearRouter(subject_, module)) JudgeRouter(module);
    }
    const std::vector<TensorParallelVerdict> splits =
        CheckTensorParallel(subject_, modules_, tensor_parallel, findings_);
    for (EngineVerdict& verdict : verdicts_) verdict.tensor_parallel = splits;
    return std::move(verdicts_);
  }

 private:
  // A refusal is loud: it only spoils a checkpoint that nobody takes.
  void ReportRefusals() {
    std::map<std::string, EngineSet> by_reason;
    bool all = true;
    for (const EngineVerdict& verdict : verdicts_) {
      all &= !verdict.refusal.empty() || refusing_.Has(verdict.engine);
      if (!verdict.refusal.empty()) by_reason[verdict.refusal].Add(verdict.engine);
    }
    for (const auto& [reason, engines] : by_reason) {
      findings_->Add(all ? kAllRefuse : kSomeRefuse, reason, engines);
    }
    for (const auto& [module, engines] : refused_) {
      findings_->Add(all ? kNobodyHasCode : kSomeHaveNoCode, module, engines);
    }
  }

  void Refuse(const RuntimeModule& module, Engine engine, const std::string& reason) {
    refusing_.Add(engine);
    refused_[module.name + " (" + reason + ")"].Add(engine);
  }

  // Members of different formats are the business of V08 and V09, formats without rules that of
  // J02.
  void Judge(const RuntimeModule& module) {
    const std::optional<StoredFormat> stored = module.Stored();
    if (stored && !IsJudged(*stored)) return CountUnjudged();
    std::map<std::string, Misreading> wrong;  // by what they build
    for (size_t i = 0; i < readers_.size(); ++i) {
      EngineVerdict& verdict = verdicts_[i];
      if (!verdict.refusal.empty()) continue;
      const Decision decision = readers_[i].second->Decide(module);
      ++verdict.modules[BuiltAs(decision)];
      if (stored && Agrees(decision, *stored)) continue;
      ++verdict.disagreements;
      if (module.is_mtp) ++verdict.mtp_disagreements;
      if (!stored) continue;
      if (decision.kind == Decision::Kind::kRefuses && !module.is_mtp) {
        Refuse(module, verdict.engine, decision.reason);
        continue;
      }
      Misreading& misreading = wrong[BuiltAs(decision)];
      if (misreading.engines.empty()) misreading.text = Describe(module, *stored, decision);
      misreading.engines.Add(verdict.engine);
    }
    const Defect* defect = stored ? DefectOf(subject_, module, *stored) : nullptr;
    if (defect == nullptr) return;
    for (const auto& [built, misreading] : wrong) {
      findings_->Add(*defect, misreading.text, misreading.engines);
    }
  }

  void CountUnjudged() {
    for (EngineVerdict& verdict : verdicts_) {
      if (verdict.refusal.empty()) ++verdict.modules[std::string(kNotJudged)];
    }
  }

  void JudgeRouter(const Module& router) {
    const RuntimeModule module = {.name = router.name,
                                  .kind = ModuleKind::kLinear,
                                  .members = {&router},
                                  .is_mtp = router.IsMtp()};
    EngineSet engines;
    for (const auto& [engine, reader] : readers_) {
      // TensorRT-LLM's routers have no quantisation method.
      if (engine == Engine::kTensorRtLlm || !reader->refusal().empty()) continue;
      if (reader->Decide(module).kind == Decision::Kind::kQuantised) engines.Add(engine);
    }
    if (!engines.empty()) findings_->Add(kRouterNotExcluded, router.name, engines);
  }

  const Subject& subject_;
  FindingList* findings_;
  std::vector<RuntimeModule> modules_;
  std::vector<std::pair<Engine, std::unique_ptr<EngineReader>>> readers_;
  std::vector<EngineVerdict> verdicts_;  // parallel to readers_
  // Modules that engines have no code for, with the reason, and the engines that lack it for any.
  std::map<std::string, EngineSet> refused_;
  EngineSet refusing_;
};

}  // namespace

std::vector<EngineVerdict> SimulateEngines(const Subject& subject, const EnginesAsked& engines,
                                           int tensor_parallel, FindingList* findings) {
  return Simulation(subject, engines, findings).Run(tensor_parallel);
}

}  // namespace vernier::audit
