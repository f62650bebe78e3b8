// The README.md that an output gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ModelCardTest : public ConvertFixture {
 protected:
  std::string CardOf(const std::string& name) const {
    return ReadWholeFile(Place(name) / "README.md");
  }
};

TEST_F(ModelCardTest, SpeaksOfTheOutputAndCarriesTheLicence) {
  WriteLlama();
  WriteFileAtomically(Llama() / "README.md", "---\nlicense: apache-2.0\n---\n# A Llama\n");
  Convert(Llama(), "out", {"--validate"});
  const std::string card = CardOf("out");
  EXPECT_THAT(card, StartsWith("---\nbase_model: \"llama\"\nbase_model_relation: quantized\n"
                               "license: apache-2.0\ntags:\n- vernier\n- nvfp4\n---\n\n"
                               "# llama-NVFP4\n"));
  EXPECT_THAT(card, AllOf(HasSubstr("released model: apache-2.0"), Not(HasSubstr("# A Llama"))));
  EXPECT_THAT(card, HasSubstr("vllm serve llama-NVFP4\n"));
  EXPECT_THAT(card, HasSubstr("| loads it |"));
  EXPECT_THAT(card, HasSubstr("FP4 units"));
}

TEST_F(ModelCardTest, SaysWhatWasNotDone) {
  WriteLlama();
  Convert(Llama(), "out", {});
  EXPECT_THAT(CardOf("out"), AllOf(HasSubstr("Not audited"), Not(HasSubstr("## Accuracy")),
                                   HasSubstr("None: scales of weights follow from the weights.")));
}

TEST_F(ModelCardTest, HasTheFlagsOfTheFamily) {
  WriteSource();
  Convert(Source(), "out", {"--validate"});
  EXPECT_THAT(CardOf("out"), HasSubstr("vllm serve source-NVFP4 --enable-expert-parallel "
                                       "--kv-cache-dtype fp8 --block-size 256 "
                                       "--tokenizer-mode deepseek_v4\n"));
}

TEST_F(ModelCardTest, OfAGgufFileIsAboutLlamaCpp) {
  WriteLlama();
  Convert(Llama(), "out", {"--dialect", "gguf"});
  const std::string card = CardOf("out");
  EXPECT_THAT(card, HasSubstr("llama-server -m model-00001-of-00002.gguf\n"));
  EXPECT_THAT(card, AllOf(Not(HasSubstr("vllm")), Not(HasSubstr("## Engines"))));
}

TEST_F(ModelCardTest, IsTheSameWhereverTheOutputLies) {
  WriteLlama();
  Convert(Llama(), "one", {"--validate"});
  Convert(Llama(), "two", {"--validate", "--threads", "1"});
  EXPECT_EQ(CardOf("one"), CardOf("two"));
}

}  // namespace
}  // namespace vernier::testing
