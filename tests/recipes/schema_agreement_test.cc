// The published schema and the parser must agree: each property is accepted, has an effect, and has
// the default that the schema states.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "recipes/options.h"
#include "recipes/recipe.h"
#include "recipes/recipe_schema.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::vernier::testing::DocumentWith;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::MinimalDocument;
using ::vernier::testing::Parse;

// All properties by the pointer at which a document can set them (list entries: the first), with
// their subschemas.
void CollectProperties(const Json& subschema, const std::string& pointer,
                       std::map<std::string, Json>& properties) {
  if (subschema.contains("items")) {
    CollectProperties(subschema["items"], pointer + "/0", properties);
  }
  if (!subschema.contains("properties")) return;
  for (const auto& [name, child] : subschema["properties"].items()) {
    properties[pointer + "/" + name] = child;
    CollectProperties(child, pointer + "/" + name, properties);
  }
}

std::map<std::string, Json> Properties() {
  std::map<std::string, Json> properties;
  CollectProperties(RecipeSchema(), "", properties);
  return properties;
}

// A value for each leaf that differs from the minimal document's or the default.
const std::map<std::string, Json>& OtherValues() {
  static const std::map<std::string, Json> values = {
      {"/description", "words"},
      {"/models", {"llama"}},
      {"/source", "other"},
      {"/output", "other"},
      {"/run_dir", "other"},
      {"/calibration/data/0/path", "other"},
      {"/calibration/data/0/format", "text"},
      {"/calibration/data/0/weight", 2},
      {"/calibration/data/0/column", "prompt"},
      {"/calibration/samples", 9},
      {"/calibration/sequence_length", 9},
      {"/calibration/packing", "truncate"},
      {"/calibration/chat_format", "deepseek"},
      {"/calibration/seed", 9},
      {"/calibration/dtype", "float32"},
      {"/calibration/batch_size", 9},
      {"/calibration/all_experts", true},
      {"/quantize/0/role", "attention"},
      {"/quantize/0/name", "layers.*"},
      {"/quantize/0/format", "keep"},
      {"/quantize/0/scale", "max"},
      {"/quantize/0/smooth", "auto"},
      {"/quantize/0/layers", {0, -1}},
      {"/quantize/0/activations", "none"},
      {"/quantize/0/optional", true},
      {"/compute/device", "cuda:2"},
      {"/compute/device_memory", "9GiB"},
      {"/compute/host_memory", "9%"},
      {"/compute/stream_memory", "64MiB"},
      {"/compute/threads", 9},
      {"/compute/cpu_products", "bf16"},
      {"/compute/save_interval", 2.5},
      {"/activations", "none"},
      {"/activation_headroom", 1.5},
      {"/effort", "best"},
      {"/propagate", "quantised"},
      {"/budget", "24GiB"},
      {"/importance", "weights.safetensors"},
      {"/non_finite", "clamp"},
      {"/export/dialect", "compressed-tensors"},
      {"/export/kv_cache", "fp8_cast"},
  };
  return values;
}

// Properties with a single possible value, an editor's hint, or children that are tested
// themselves.
const std::set<std::string>& NotVaried() {
  static const std::set<std::string> pointers = {"/$schema",  "/version", "/calibration",
                                                 "/quantize", "/compute", "/calibration/data",
                                                 "/export"};
  return pointers;
}

// Everything that a recipe holds, as text.
std::string Content(const Recipe& recipe) {
  Json rules = Json::array();
  for (const Rule& rule : recipe.rules) {
    rules.push_back({rule.Describe(), static_cast<int>(rule.smooth)});
  }
  const Json content = {CalibrationIdentity(recipe),
                        recipe.calibration.batch_size,
                        recipe.description,
                        recipe.models,
                        recipe.source.string(),
                        recipe.output.string(),
                        recipe.run_dir.string(),
                        recipe.compute.device,
                        recipe.compute.device_memory.Text(),
                        recipe.compute.host_memory.Text(),
                        recipe.compute.stream_memory,
                        recipe.compute.threads,
                        static_cast<int>(recipe.compute.cpu_products),
                        recipe.compute.save_interval,
                        recipe.dialect->name,
                        KvCacheName(recipe.kv_cache),
                        static_cast<int>(recipe.activations),
                        recipe.constant_input_scale,
                        recipe.activation_headroom,
                        static_cast<int>(recipe.effort),
                        static_cast<int>(recipe.propagate),
                        recipe.budget.bits,
                        recipe.budget.bytes,
                        recipe.importance.string(),
                        static_cast<int>(recipe.non_finite),
                        rules};
  return content.dump();
}

TEST(SchemaAgreement, EveryPropertyIsDescribed) {
  for (const auto& [pointer, property] : Properties()) {
    EXPECT_TRUE(property.contains("description")) << pointer;
  }
}

TEST(SchemaAgreement, EveryPropertyHasAnEffect) {
  const std::string base = Content(Parse(MinimalDocument()));
  for (const auto& [pointer, property] : Properties()) {
    if (NotVaried().contains(pointer)) continue;
    const auto other = OtherValues().find(pointer);
    ASSERT_NE(other, OtherValues().end()) << pointer << " needs a row in OtherValues()";
    EXPECT_NE(Content(Parse(DocumentWith(pointer, other->second))), base) << pointer;
  }
}

TEST(SchemaAgreement, StatedDefaultsAreTheParsers) {
  const std::string base = Content(Parse(MinimalDocument()));
  int defaults = 0;
  for (const auto& [pointer, property] : Properties()) {
    if (!property.contains("default")) continue;
    EXPECT_EQ(Content(Parse(DocumentWith(pointer, property["default"]))), base) << pointer;
    ++defaults;
  }
  EXPECT_GT(defaults, 10);
}

TEST(SchemaAgreement, EveryEnumValueIsUnderstoodAndDistinct) {
  for (const auto& [pointer, property] : Properties()) {
    if (!property.contains("enum")) continue;
    std::set<std::string> contents;
    for (const Json& value : property["enum"]) {
      contents.insert(Content(Parse(DocumentWith(pointer, value))));
    }
    EXPECT_EQ(contents.size(), property["enum"].size()) << pointer;
  }
}

TEST(SchemaAgreement, RolesAreAllRoles) {
  std::set<std::string> known;
  for (int i = 0; i < checkpoint::kRoleCount; ++i) {
    known.emplace(checkpoint::RoleName(static_cast<checkpoint::Role>(i)));
  }
  const Json alternatives = Properties().at("/quantize/0/role")["anyOf"];
  EXPECT_EQ(alternatives[0]["enum"].get<std::set<std::string>>(), known);
  EXPECT_EQ(alternatives[1]["items"]["enum"].get<std::set<std::string>>(), known);
}

TEST(SchemaAgreement, EveryRoleIsUnderstoodAndDistinct) {
  std::set<std::string> contents;
  const Json roles = Properties().at("/quantize/0/role")["anyOf"][0]["enum"];
  for (const Json& role : roles) {
    const std::string alone = Content(Parse(DocumentWith("/quantize/0/role", role)));
    EXPECT_EQ(Content(Parse(DocumentWith("/quantize/0/role", Json::array({role})))), alone);
    contents.insert(alone);
  }
  EXPECT_EQ(contents.size(), roles.size());
}

TEST(SchemaAgreement, EveryObjectRefusesUnknownFields) {
  for (const char* object :
       {"", "/calibration", "/calibration/data/0", "/quantize/0", "/compute", "/export"}) {
    const std::string pointer = std::string(object) + "/surprise";
    ErrorOf(ErrorCode::kBadRecipe, [&] { Parse(DocumentWith(pointer, 1)); });
  }
}

}  // namespace
}  // namespace vernier::recipes
