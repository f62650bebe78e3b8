#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint_files.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/source_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

class SafetensorsContainerTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::WriteSyntheticDeepseekV4(directory_.path(), {.shards = 2}); }

  static std::vector<FileContent> Contents() {
    return {{"a.safetensors", {{"x", DType::kBF16, {4}}, {"w", DType::kF32, {2, 2}}}, {}},
            {"b.safetensors",
             {{"odd", DType::kOpaque, {2}, "Q9", 5}, {"y", DType::kU8, {3}}},
             {{"format", "pt"}}},
            {"empty.safetensors", {}, {}}};
  }

  static std::vector<PlannedFile> Planned(const std::vector<FileContent>& contents,
                                          const std::vector<FileLayout>& layouts) {
    std::vector<PlannedFile> files;
    for (size_t i = 0; i < contents.size(); ++i) {
      files.push_back({contents[i].name, layouts[i].file_bytes, {}, &contents[i].metadata});
      for (const TensorInfo& tensor : layouts[i].tensors) files[i].tensors.push_back(&tensor);
    }
    return files;
  }

  testing::TempDir directory_;
  const Container& container_ = SafetensorsContainer();
};

TEST_F(SafetensorsContainerTest, MakesThePlannedHeaderAgainFromPlaces) {
  const SourceModel source = OpenSourceModel(directory_.path());
  const std::vector<FileContent> contents = Contents();
  const std::vector<FileLayout> layouts = container_.LayOut(source, contents);
  const std::vector<PlannedFile> files = Planned(contents, layouts);
  for (size_t i = 0; i < files.size(); ++i) {
    const SafetensorsLayout expected = PlanSafetensors(contents[i].tensors, contents[i].metadata);
    const FileFrame frame = container_.Frame(source, files, i);
    EXPECT_EQ(frame.head, expected.prefix);
    EXPECT_TRUE(frame.tail.empty());
    EXPECT_EQ(layouts[i].file_bytes, expected.file_bytes);
  }
}

TEST_F(SafetensorsContainerTest, TheIndexSaysWhatIsWhereAndHowMuchItIs) {
  const SourceModel source = OpenSourceModel(directory_.path());
  const std::vector<FileContent> contents = Contents();
  const std::vector<FileLayout> layouts = container_.LayOut(source, contents);
  const std::vector<IndexFile> written = container_.IndexFiles(Planned(contents, layouts));
  ASSERT_EQ(written.size(), 1U);
  EXPECT_THAT(container_.IndexFileNames(), ElementsAre(written.front().name));
  const ShardIndex index = ParseShardIndex(written.front().text, "planned");
  EXPECT_THAT(index.files, ElementsAre("a.safetensors", "b.safetensors"));
  EXPECT_EQ(index.file_of_tensor.at("odd"), 1U);
  EXPECT_EQ(index.total_size, 4 * 2 + 4 * 4 + 5 + 3);
}

TEST_F(SafetensorsContainerTest, FilesAndTensorsKeepTheirNames) {
  const SourceModel source = OpenSourceModel(directory_.path());
  EXPECT_THAT(container_.FileNames(source), ElementsAre(source.checkpoint.shards()[0].file_name,
                                                        source.checkpoint.shards()[1].file_name));
  EXPECT_EQ(container_.TensorName(source.layout.weights.front(), "name"), "name");
}

TEST(WeightFiles, AreThoseOfContainersThatAreReadAndOfOthers) {
  for (const char* name : {"model.safetensors", "pytorch_model.bin", "q4.gguf", "m.onnx"}) {
    EXPECT_TRUE(IsWeightFile(name)) << name;
  }
  for (const char* name : {"tokenizer.json", "model.safetensors.index.json", "gguf"}) {
    EXPECT_FALSE(IsWeightFile(name)) << name;
  }
}

}  // namespace
}  // namespace vernier::checkpoint
