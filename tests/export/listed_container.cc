#include "tests/export/listed_container.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "base/rounding.h"
#include "checkpoint/source_model.h"

namespace vernier::testing {
namespace {

using checkpoint::FileContent;
using checkpoint::FileLayout;
using checkpoint::PlannedFile;
using checkpoint::TensorInfo;
using checkpoint::TensorSpec;

constexpr uint64_t kHeadBytes = 100;  // no multiple of the alignment

std::string Listing(const std::vector<const TensorInfo*>& tensors) {
  std::string text;
  for (const TensorInfo* tensor : tensors) {
    text +=
        fmt::format("{} {} {} {}\n", tensor->name, tensor->dtype_name, tensor->begin, tensor->end);
  }
  return text;
}

FileLayout LayOutFile(std::vector<TensorSpec> specs) {
  std::ranges::sort(specs, {}, &TensorSpec::name);
  FileLayout layout;
  uint64_t position = kHeadBytes;
  for (TensorSpec& spec : specs) {
    layout.tensors.push_back(
        checkpoint::PlaceTensor(std::move(spec), RoundUp(position, kListedAlignment)));
    position = layout.tensors.back().end;
  }
  std::vector<const TensorInfo*> tensors;
  for (const TensorInfo& tensor : layout.tensors) tensors.push_back(&tensor);
  layout.file_bytes = RoundUp(position, kListedAlignment) + Listing(tensors).size();
  return layout;
}

}  // namespace

std::vector<std::string> ListedContainer::FileNames(const checkpoint::SourceModel& source) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < source.checkpoint.shards().size(); ++i) {
    names.push_back(fmt::format("part-{}{}", i / 2, extension()));
  }
  return names;
}

std::string ListedContainer::TensorName(const checkpoint::LogicalWeight& weight,
                                        std::string name) const {
  return fmt::format("{}/{}", weight.layer, name);
}

std::vector<FileLayout> ListedContainer::LayOut(const checkpoint::SourceModel& /*source*/,
                                                std::vector<FileContent> files) const {
  std::vector<FileLayout> layouts;
  for (FileContent& file : files) layouts.push_back(LayOutFile(std::move(file.tensors)));
  return layouts;
}

checkpoint::FileFrame ListedContainer::Frame(const checkpoint::SourceModel& source,
                                             std::span<const PlannedFile> files,
                                             size_t index) const {
  std::string list = Listing(files[index].tensors);
  std::string head =
      fmt::format("{}\n{}\n{}\n", source.checkpoint.config()["model_type"].get<std::string>(),
                  files.size(), files[index].bytes - list.size());
  head.resize(kHeadBytes, '#');
  return {std::move(head), std::move(list)};
}

std::vector<checkpoint::IndexFile> ListedContainer::IndexFiles(
    std::span<const PlannedFile> files) const {
  std::string text;
  for (const PlannedFile& file : files) {
    text += fmt::format("{} {}\n", file.name, file.tensors.size());
  }
  return {{std::string(kListedIndex), std::move(text)}};
}

ListedFile ReadListedFile(const std::filesystem::path& path) {
  std::string text = ReadWholeFile(path);
  ListedFile file;
  size_t list_begin = 0;
  std::istringstream head(text);
  head >> file.model_type >> file.files >> list_begin;
  std::istringstream list(text.substr(list_begin));
  std::string name, dtype;
  size_t begin = 0, end = 0;
  while (list >> name >> dtype >> begin >> end) {
    file.tensors[name] = text.substr(begin, end - begin);
    file.begins[name] = begin;
  }
  for (const auto& [tensor, at] : file.begins) {
    text.replace(at, file.tensors[tensor].size(), file.tensors[tensor].size(), '\0');
  }
  const auto around = std::span(text).subspan(kHeadBytes, list_begin - kHeadBytes);
  EXPECT_TRUE(std::ranges::all_of(around, [](char byte) { return byte == '\0'; })) << path;
  return file;
}

}  // namespace vernier::testing
