#include "tests/tools/conformance_fixture.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/json.h"
#include "quantizers/float_formats.h"
#include "tests/support/command.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::DType;

std::string_view PeerOf(const ConformanceCase& each) {
  return std::string_view(each.peer).starts_with("modelopt") ? "modelopt" : "compressed-tensors";
}

// A checkpoint of the model with a tokenizer, which a source must have.
fs::path MakeSource(const ConformanceCase& each, const fs::path& place) {
  const fs::path source = place / "source";
  fs::create_directories(source);
  for (const char* file : {"config.json", "model.safetensors"}) {
    fs::copy_file(fs::path(VERNIER_TEST_DATA) / "models" / each.model / file, source / file);
  }
  AddTokenizer(source);
  return source;
}

Json RecipeOf(const ConformanceCase& each, const fs::path& place) {
  Json recipe = {{"version", 1},
                 {"source", MakeSource(each, place).string()},
                 {"output", (place / "out").string()},
                 {"run_dir", (place / "run").string()},
                 {"quantize", {{{"role", each.roles}, {"format", each.format}, {"scale", "max"}}}},
                 {"export", {{"dialect", PeerOf(each)}, {"kv_cache", each.kv_cache}}}};
  recipe["calibration"] = {{"data", {{{"path", (kPeers / "calibration_ids.jsonl").string()}}}},
                           {"samples", 8},
                           {"sequence_length", 64},
                           {"packing", "truncate"},
                           {"all_experts", each.all_experts}};
  if (!each.calibrated) recipe["activations"] = "none";
  return recipe;
}

// Writes the recipe, runs it, and opens what came out. A model whose config announces an MTP layer
// that transformers did not save fails its audit, and is whole all the same.
Checkpoint RunThrough(const ConformanceCase& each, const fs::path& place) {
  const CommandResult result =
      RunVernier({"run", WriteRecipe(place, RecipeOf(each, place)), "--progress", "none"});
  if (result.exit_code != 0) {
    EXPECT_NE(result.output.find("V06"), std::string::npos) << result.errors;
  }
  return Checkpoint::Open(place / "out");
}

std::vector<uint8_t> Bytes(const Checkpoint& checkpoint, size_t tensor) {
  std::vector<uint8_t> bytes(checkpoint.tensor(tensor).info.Bytes());
  checkpoint.Read(tensor, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

bool EndsWithAny(std::string_view name, std::initializer_list<const char*> suffixes) {
  return std::ranges::any_of(suffixes, [&](const char* suffix) { return name.ends_with(suffix); });
}

bool IsActivationScale(std::string_view name) {
  return EndsWithAny(name, {".input_scale", ".input_global_scale", ".k_scale", ".v_scale"});
}
bool IsExpert(std::string_view name) { return name.find(".experts.") != std::string_view::npos; }

void AddScalar(double own, double peer, Difference& difference) {
  ++difference.tensors;
  ++difference.values;
  difference.different += own != peer;
  difference.largest = std::max(difference.largest, std::abs(own / peer - 1));
}

void AddTensor(const Checkpoint& ours, size_t own, const Checkpoint& peer, size_t theirs,
               Difference& difference) {
  if (peer.tensor(theirs).info.Elements() == 1) {
    return AddScalar(ReadScalar(ours, own), ReadScalar(peer, theirs), difference);
  }
  const std::vector<uint8_t> a = Bytes(ours, own), b = Bytes(peer, theirs);
  ASSERT_EQ(a.size(), b.size());
  ++difference.tensors;
  difference.values += a.size();
  for (size_t i = 0; i < a.size(); ++i) difference.different += a[i] != b[i];
}

void Print(const ConformanceCase& each, const Differences& kinds) {
  for (const auto& [kind, difference] : kinds) {
    std::printf("%-40s %-26s %4zu tensors %8zu bytes or scalars %7.4f %% differ, at most %.5f\n",
                each.peer, kind.c_str(), difference.tensors, difference.values,
                100 * difference.Share(), difference.largest);
  }
}

}  // namespace

double ReadScalar(const Checkpoint& checkpoint, size_t tensor) {
  const std::vector<uint8_t> bytes = Bytes(checkpoint, tensor);
  if (checkpoint.tensor(tensor).info.dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  uint16_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return quantizers::Bf16ToFloat(value);
}

Differences Conformance::Compare(const ConformanceCase& each) const {
  const fs::path place = dir_.path() / each.peer;
  fs::create_directories(place);
  const Checkpoint ours = RunThrough(each, place), peer = Checkpoint::Open(kPeers / each.peer);
  Differences kinds;
  for (size_t i = 0; i < peer.tensors().size(); ++i) {
    const checkpoint::TensorInfo& info = peer.tensor(i).info;
    const size_t own = ours.Find(info.name);
    if (own == Checkpoint::kNotFound) {
      ADD_FAILURE() << each.peer << " has " << info.name;
      continue;
    }
    const std::string kind = info.name.substr(info.name.rfind('.') + 1);
    if (kind == "e_score_correction_bias") continue;  // the source's own, widened to F32
    if (IsActivationScale(info.name)) {
      AddScalar(ReadScalar(ours, own), ReadScalar(peer, i),
                kinds[IsExpert(info.name) ? "expert " + kind : kind]);
    } else {
      EXPECT_EQ(ours.tensor(own).info.shape, info.shape) << info.name;
      AddTensor(ours, own, peer, i, kinds[kind]);
    }
  }
  Print(each, kinds);
  return kinds;
}

}  // namespace vernier::testing
