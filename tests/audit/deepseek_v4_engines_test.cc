// What engines build DeepSeek-V4's routed experts as, against their own code.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "audit/engines/engine_reader.h"
#include "audit/engines/explanation.h"
#include "base/json.h"
#include "tests/audit/nvfp4_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::audit {
namespace {

Json Golden() {
  return ReadJsonFile(std::filesystem::path(VERNIER_TEST_DATA) / "engines" / "deepseek_v4.json");
}

// A DeepSeek-V4 with NVFP4 experts and nothing but its configurations: decisions ask no more.
Subject SubjectWith(const Json& ignore, const std::filesystem::path& directory) {
  static const ModelFiles whole = MakeNvfp4Model(MakeNativeModel());
  ModelFiles model = whole;
  std::erase_if(model.tensors, [](const testing::TestTensor& tensor) {
    return tensor.spec.name != "norm.weight" && tensor.spec.name != "head.weight";
  });
  model.Inline()["ignore"] = model.Nested()["exclude_modules"] = ignore;
  model.Write(directory);
  FindingList findings;
  return *OpenSubject(directory, &findings);
}

std::string Built(const Subject& subject, Engine engine, EngineRelease vllm,
                  const std::string& name) {
  Module member;
  member.name = name + ".0.w1";
  const RuntimeModule module = {.name = name,
                                .kind = ModuleKind::kExperts,
                                .members = {&member},
                                .is_mtp = name.starts_with("mtp.")};
  return BuiltAs(
      MakeEngineReader(engine, {.set = EngineSet::All(), .vllm = vllm}, subject)->Decide(module));
}

// Holds the decisions about every list of exclusions against the column `release`.
void ExpectGolden(Engine engine, EngineRelease vllm, const std::string& release) {
  const testing::TempDir directory;
  std::map<std::string, Subject> subjects;  // by list
  int compared = 0;
  for (const Json& golden : Golden()) {
    const std::string list = golden.at("patterns").dump();
    if (!subjects.contains(list)) {
      const std::string name = std::to_string(subjects.size());
      subjects.emplace(list, SubjectWith(golden.at("patterns"), directory.path() / name));
    }
    if (golden.at(release).is_null()) continue;
    ++compared;
    EXPECT_EQ(Built(subjects.at(list), engine, vllm, golden.at("module")),
              golden.at(release).get<std::string>())
        << release << ": " << golden.dump();
  }
  EXPECT_GT(compared, 150);
}

TEST(DeepseekV4Engines, Vllm031ReadsNoExclusions) {
  ExpectGolden(Engine::kVllm, {0, 31, 0}, "vLLM 0.31.0");
}

TEST(DeepseekV4Engines, Vllm032MatchesExclusionsAgainstTheCheckpointsNames) {
  ExpectGolden(Engine::kVllm, {0, 32, 0}, "vLLM 0.32.0");
}

TEST(DeepseekV4Engines, Vllm033MatchesExclusionsAgainstTheCheckpointsNames) {
  ExpectGolden(Engine::kVllm, {0, 33, 0}, "vLLM 0.33.0");
}

// Disagrees: SGLang asks for its own names, "model.layers.N.mlp.experts", and leaves its MTP layer
// MXFP4 whatever the list says. The simulation asks for the checkpoint's.
TEST(DeepseekV4Engines, SglangMatchesExclusionsAgainstItsOwnNames) {
  ExpectGolden(Engine::kSglang, kNewestVllm, "SGLang 0.5.23");
}

// As NVIDIA publishes it, SGLang's decisions are those of its code.
TEST(DeepseekV4Engines, SglangReadsPublishedExclusions) {
  const Json published = {"*.attn.*", "*.ffn.shared_experts.*", "head", "mtp.*"};
  const testing::TempDir directory;
  const Subject subject = SubjectWith(published, directory.path() / "model");
  int compared = 0;
  for (const Json& golden : Golden()) {
    const Json& built = golden.at("SGLang 0.5.23");
    if (golden.at("patterns") != published || built.is_null()) continue;
    ++compared;
    EXPECT_EQ(Built(subject, Engine::kSglang, kNewestVllm, golden.at("module")),
              built.get<std::string>())
        << golden.dump();
  }
  EXPECT_EQ(compared, 5);
}

}  // namespace
}  // namespace vernier::audit
