// Exports into a container that is not safetensors: the seam by which another one is added.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "tests/export/export_fixture.h"
#include "tests/export/listed_container.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

using checkpoint::Checkpoint;
using ::testing::UnorderedElementsAre;
using ::vernier::testing::kListedAlignment;
using ::vernier::testing::kListedIndex;
using ::vernier::testing::ListedFile;
using ::vernier::testing::ReadListedFile;

constexpr int kFiles = 4;  // of a source's 7

class ContainerTest : public ExportFixture {
 protected:
  void SetUp() override {
    WriteSource({.shards = 7});
    container_ = &listed_;
  }

  static fs::path File(const fs::path& output, int number) {
    return output / ("part-" + std::to_string(number) + ".listed");
  }

  // Exports again over a damaged file, and expects it to be written anew, alone.
  void ExpectRepaired(const std::map<std::string, std::string>& finished) {
    const ExportSummary summary = ExportTo(Output(), FullRules());
    EXPECT_EQ(summary.shards_written, 1);
    EXPECT_EQ(summary.shards_reused, kFiles - 1);
    EXPECT_EQ(ReadTree(Output()), finished);
  }

 private:
  testing::ListedContainer listed_;
};

TEST_F(ContainerTest, HoldsTheTensorsOfASafetensorsExport) {
  const ExportSummary summary = ExportTo(Output(), FullRules());
  container_ = nullptr;
  const fs::path plain = Output().parent_path() / "plain";
  const ExportSummary plain_summary = ExportTo(plain, FullRules());
  EXPECT_EQ(summary.output_tensors, plain_summary.output_tensors);
  EXPECT_EQ(summary.output_tensor_bytes, plain_summary.output_tensor_bytes);

  const Checkpoint expected = Checkpoint::Open(plain);
  size_t tensors = 0;
  for (int i = 0; i < kFiles; ++i) {
    const ListedFile file = ReadListedFile(File(Output(), i));
    EXPECT_EQ(file.model_type, "deepseek_v4");
    EXPECT_EQ(file.files, static_cast<size_t>(kFiles));
    for (const auto& [name, bytes] : file.tensors) {
      EXPECT_EQ(file.begins.at(name) % kListedAlignment, 0U) << name;
      const std::vector<std::byte> other =
          ReadTensor(expected, std::string_view(name).substr(name.find('/') + 1));
      EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(bytes)), other)) << name;
    }
    tensors += file.tensors.size();
  }
  EXPECT_EQ(tensors, expected.tensors().size());
}

TEST_F(ContainerTest, ItsIndexReplacesTheSourcesAndNoWeightsAreCopied) {
  for (const char* name : {"tokenizer.json", "left-over.listed", "files.txt"}) {
    WriteFileAtomically(Source() / name, "of the source");
  }
  ExportTo(Output());
  std::vector<std::string> names;
  for (const auto& [name, bytes] : ReadTree(Output())) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("config.json", "hf_quant_config.json", "tokenizer.json",
                                          "vernier_manifest.json", "files.txt", "part-0.listed",
                                          "part-1.listed", "part-2.listed", "part-3.listed"));
  EXPECT_THAT(ReadWholeFile(Output() / kListedIndex), ::testing::StartsWith("part-0.listed "));
}

TEST_F(ContainerTest, BytesDoNotDependOnThreadsOrTheWayToTheDisk) {
  ExportTo(Output(), FullRules(), 1);
  settings_.io.direct = false;
  const fs::path other = Output().parent_path() / "other";
  ExportTo(other, FullRules(), 3);
  EXPECT_EQ(ReadTree(other), ReadTree(Output()));
}

// In its head, a tensor, the zeros between tensors, and its list.
TEST_F(ContainerTest, ADamagedFileIsKnownByAnyOfItsBytes) {
  ExportTo(Output(), FullRules());
  const std::map<std::string, std::string> finished = ReadTree(Output());
  EXPECT_EQ(ExportTo(Output(), FullRules()).shards_reused, kFiles);
  const fs::path path = File(Output(), 1);
  const std::string& bytes = finished.at(path.filename().string());
  const ListedFile file = ReadListedFile(path);
  const uint64_t first = file.begins.begin()->second;
  for (const uint64_t at : {uint64_t{3}, first - 1, first, bytes.size() - 2}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] + 1);
    WriteFileAtomically(path, damaged);
    ExpectRepaired(finished);
  }
}

}  // namespace
}  // namespace vernier::exporter
