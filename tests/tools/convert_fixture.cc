#include "tests/tools/convert_fixture.h"

#include "checkpoint/source_model.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/small_llama.h"
#include "tests/support/squared_error.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {

namespace fs = std::filesystem;

void ConvertFixture::WriteSource() {
  WriteSyntheticDeepseekV4(Source(), {.experts = 4, .hidden = 256, .moe_width = 128, .shards = 7});
}

void ConvertFixture::WriteLlama() {
  const LlamaShape shape = {.layers = 2, .hidden = 256, .wide = 512};
  WriteCheckpoint(Llama(), SmallLlamaConfig(nullptr, shape), SmallLlamaTensors(PlainLinear, shape),
                  /*shards=*/2);
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
