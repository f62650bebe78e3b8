#include "audit/engines/exclusion.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::audit {
namespace {

// Members that a test's RuntimeModule points to.
std::vector<Module> Members(const std::vector<std::string>& names) {
  std::vector<Module> members(names.size());
  for (size_t i = 0; i < names.size(); ++i) members[i].name = names[i];
  return members;
}

RuntimeModule Fuse(std::string name, const std::vector<Module>& members,
                   ModuleKind kind = ModuleKind::kLinear) {
  RuntimeModule module = {.name = std::move(name), .kind = kind, .members = {}, .is_mtp = false};
  for (const Module& member : members) module.members.push_back(&member);
  return module;
}

EngineSet Excluding(const std::vector<std::string>& patterns, const RuntimeModule& module) {
  const std::vector<NamePattern> list(patterns.begin(), patterns.end());
  EngineSet engines;
  for (const Engine engine : kEngines) {
    if (FindExclusion(engine, list, module).excluded) engines.Add(engine);
  }
  return engines;
}

constexpr EngineSet kNobody = {};
constexpr EngineSet kAll = EngineSet::All();
constexpr EngineSet kVllmAlone = {Engine::kVllm};
constexpr EngineSet kSglangAlone = {Engine::kSglang};

struct MatchCase {
  std::string pattern;
  std::string module;
  EngineSet engines;
};

void PrintTo(const MatchCase& match, std::ostream* stream) {
  *stream << match.pattern << " on " << match.module;
}

class ExclusionTest : public ::testing::TestWithParam<MatchCase> {};

TEST_P(ExclusionTest, EnginesDecideAsDocumented) {
  const MatchCase& match = GetParam();
  const std::vector<Module> members = Members({match.module});
  EXPECT_EQ(Excluding({match.pattern}, Fuse(match.module, members)).Names(), match.engines.Names());
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, ExclusionTest,
    ::testing::Values(
        // A star without a dot also catches layers 10 to 19.
        MatchCase{"model.layers.1*", "model.layers.10.mlp", kAll},
        MatchCase{"model.layers.1.*", "model.layers.10.mlp", kNobody},
        MatchCase{"model.layers.1.*", "model.layers.1.mlp", kAll},
        // vLLM looks for substrings, SGLang for whole parts, TensorRT-LLM for modules around.
        MatchCase{"model.layers.0.mlp.gate", "model.layers.0.mlp.gate_up_proj", kVllmAlone},
        MatchCase{"gate", "layers.0.ffn.gate", EngineSet({Engine::kVllm, Engine::kSglang})},
        MatchCase{"gate", "layers.0.ffn.gate_up_proj", kVllmAlone},
        MatchCase{"head", "lm_head", kVllmAlone}, MatchCase{"head", "head", kAll},
        MatchCase{"model.layers.0.self_attn", "model.layers.0.self_attn.o_proj", kAll},
        MatchCase{"model.layers.0.self_attn*", "model.layers.0.self_attn.o_proj", kAll},
        MatchCase{"*.attn.*", "layers.3.attn.wq_a", kAll},
        MatchCase{"*.attn.*", "layers.3.ffn.experts", kNobody},
        MatchCase{"mtp.*", "mtp.0.e_proj", kAll},
        // In SGLang a part of MLA's projections stands for all layers.
        MatchCase{"model.layers.0.self_attn.q_b_proj", "model.layers.7.self_attn.q_b_proj",
                  kSglangAlone},
        // Expressions are TensorRT-LLM's alone in ModelOpt's lists.
        MatchCase{"re:.*o_proj", "model.layers.0.self_attn.o_proj",
                  EngineSet({Engine::kTensorRtLlm})}));

TEST(Exclusion, AFusedMatrixNeedsAllOfItsMembers) {
  const std::vector<Module> members = Members({"a.q_proj", "a.k_proj", "a.v_proj"});
  const RuntimeModule qkv = Fuse("a.qkv_proj", members);
  EXPECT_EQ(Excluding({"a.q_proj", "a.k_proj", "a.v_proj"}, qkv), kAll);
  const std::vector<NamePattern> some = {NamePattern("a.q_proj"), NamePattern("a.k_proj")};
  EXPECT_NE(FindExclusion(Engine::kVllm, some, qkv).error, "");
  EXPECT_FALSE(FindExclusion(Engine::kSglang, some, qkv).excluded);
  EXPECT_TRUE(FindExclusion(Engine::kTensorRtLlm, some, qkv).excluded);
}

TEST(Exclusion, OneListedExpertExcludesAllInVllm) {
  const std::vector<Module> members = Members({"m.experts.0.up_proj", "m.experts.1.up_proj"});
  const RuntimeModule experts = Fuse("m.experts", members, ModuleKind::kExperts);
  EXPECT_EQ(Excluding({"m.experts.1.up_proj"}, experts), kVllmAlone);
}

// The checkpoint's modules that a fused one is made of.
std::vector<std::string> MemberNames(const std::string& module) {
  const std::map<std::string, std::vector<std::string>> kFused = {
      {"qkv_proj", {"q_proj", "k_proj", "v_proj"}},
      {"gate_up_proj", {"gate_proj", "up_proj"}},
      {"fused_qkv_a_proj", {"q_a_proj", "kv_a_proj_with_mqa"}}};
  const size_t leaf = module.rfind('.') + 1;
  const auto fused = kFused.find(module.substr(leaf));
  if (fused == kFused.end()) return {module};
  std::vector<std::string> names;
  for (const std::string& name : fused->second) names.push_back(module.substr(0, leaf) + name);
  return names;
}

std::string OutcomeOf(const Exclusion& exclusion) {
  if (!exclusion.error.empty()) return "fails";
  return exclusion.excluded ? "excluded" : "kept";
}

TEST(ExclusionGolden, AgreesWithTheEnginesOwnCode) {
  const Json cases =
      ReadJsonFile(std::filesystem::path(VERNIER_TEST_DATA) / "engines" / "exclusions.json");
  ASSERT_GT(cases.size(), 500u);
  for (const Json& golden : cases) {
    const auto name = golden.at("module").get<std::string>();
    const std::vector<Module> members = Members(MemberNames(name));
    const bool experts = name.ends_with(".experts");
    const RuntimeModule module =
        Fuse(name, members, experts ? ModuleKind::kExperts : ModuleKind::kLinear);
    const auto texts = golden.at("patterns").get<std::vector<std::string>>();
    const std::vector<NamePattern> patterns(texts.begin(), texts.end());
    for (const Engine engine : {Engine::kVllm, Engine::kSglang}) {
      EXPECT_EQ(OutcomeOf(FindExclusion(engine, patterns, module)),
                golden.at(std::string(EngineName(engine))).get<std::string>())
          << EngineName(engine) << ": " << golden.dump();
    }
  }
}

TEST(NamePattern, ExpressionsMatchAtTheBeginningOrAsAWhole) {
  const NamePattern pattern("re:model\\.layers\\.[0-9]+\\.mlp");
  EXPECT_TRUE(pattern.MatchesBeginning("model.layers.3.mlp.gate"));
  EXPECT_FALSE(pattern.MatchesWhole("model.layers.3.mlp.gate"));
  EXPECT_TRUE(pattern.MatchesWhole("model.layers.3.mlp"));
  EXPECT_FALSE(pattern.MatchesBeginning("x.model.layers.3.mlp"));
}

TEST(NamePattern, LookaheadWorks) {
  const NamePattern pattern("re:^(?!.*experts).*proj$");
  EXPECT_TRUE(pattern.MatchesBeginning("a.q_proj"));
  EXPECT_FALSE(pattern.MatchesBeginning("a.experts.0.up_proj"));
}

TEST(NamePattern, AHostileOrMalformedExpressionMatchesNothing) {
  const std::string name(60, 'a');
  EXPECT_FALSE(NamePattern("re:(a+)+b").MatchesBeginning(name));
  EXPECT_TRUE(NamePattern("re:(a+)+b").usable());
  EXPECT_FALSE(NamePattern("re:(").usable());
  EXPECT_FALSE(NamePattern("re:(").MatchesBeginning("("));
  const std::string deep = "re:" + std::string(100'000, '(') + std::string(100'000, ')');
  EXPECT_FALSE(NamePattern(deep).usable());
}

}  // namespace
}  // namespace vernier::audit
