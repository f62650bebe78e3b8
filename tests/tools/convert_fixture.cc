#include "tests/tools/convert_fixture.h"

#include <random>

#include "base/json.h"
#include "checkpoint/source_model.h"
#include "quantizers/float_formats.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/squared_error.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {

namespace fs = std::filesystem;

void ConvertFixture::WriteSource() {
  WriteSyntheticDeepseekV4(Source(), {.experts = 4, .hidden = 256, .moe_width = 128, .shards = 7});
}

void ConvertFixture::WriteLlama() {
  constexpr int64_t kHidden = 256, kWide = 512;
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, int64_t rows, int64_t columns) {
    std::vector<uint16_t> values(static_cast<size_t>(rows * columns));
    for (uint16_t& value : values) value = quantizers::FloatToBf16(normal(random));
    tensors.push_back(MakeTensor(name, checkpoint::DType::kBF16, {rows, columns}, values));
  };
  add("model.embed_tokens.weight", 64, kHidden);
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      add(layer + "self_attn." + name + ".weight", kHidden, kHidden);
    }
    add(layer + "mlp.gate_proj.weight", kWide, kHidden);
    add(layer + "mlp.up_proj.weight", kWide, kHidden);
    add(layer + "mlp.down_proj.weight", kHidden, kWide);
  }
  WriteCheckpoint(Llama(),
                  {{"architectures", {"LlamaForCausalLM"}},
                   {"model_type", "llama"},
                   {"hidden_size", kHidden},
                   {"num_hidden_layers", 2}},
                  tensors, 2);
}

void ConvertFixture::Convert(const fs::path& source, const std::string& name,
                             const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"convert", source.string(), Place(name).string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (source == Source()) all.insert(all.end(), {"--input-scale", "1.0"});
  const CommandResult result = RunVernier(all);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
}

void ConvertFixture::Dequantize(const fs::path& source, const std::string& name) {
  const CommandResult result = RunVernier({"dequantize", source.string(), Place(name).string()});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
}

double WeightError(const fs::path& a, const fs::path& b) {
  const checkpoint::SourceModel left = checkpoint::OpenAnySourceModel(a);
  const checkpoint::SourceModel right = checkpoint::OpenAnySourceModel(b);
  SquaredError sums;
  for (const checkpoint::LogicalWeight& weight : left.layout.weights) {
    if (!weight.linear) continue;
    const checkpoint::LogicalWeight* other = right.layout.FindModule(weight.module);
    if (other == nullptr) {
      ADD_FAILURE() << "no " << weight.module;
      continue;
    }
    sums.Add(ReadWeight(left.checkpoint, weight), ReadWeight(right.checkpoint, *other));
  }
  return sums.Relative();
}

}  // namespace vernier::testing
