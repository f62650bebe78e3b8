#include "tests/support/stacked_model.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "tests/support/read_tensor.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/test_tensors.h"

namespace vernier::testing {
namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;

constexpr std::string_view kExperts = ".experts.";

// "P.experts.3.up_proj.weight" taken apart.
struct ExpertTensor {
  std::string container;  // "P.experts."
  int64_t expert = 0;
  std::string leaf, suffix;  // "up_proj", "weight"
};

std::optional<ExpertTensor> ParseExpert(const std::string& name) {
  const size_t begin = name.find(kExperts);
  if (begin == std::string::npos) return std::nullopt;
  const size_t number = begin + kExperts.size();
  const size_t leaf = name.find('.', number) + 1;
  const size_t suffix = name.find('.', leaf) + 1;
  return ExpertTensor{name.substr(0, number), std::stoll(name.substr(number)),
                      name.substr(leaf, suffix - 1 - leaf), name.substr(suffix)};
}

// The tensors that become one: [expert][part].
using Members = std::map<int64_t, std::vector<size_t>>;

std::string StackedName(const ExpertTensor& tensor, const StackForm& form) {
  const std::string leaf = tensor.leaf == "down_proj" ? "down_proj" : "gate_up_proj";
  if (form.blocks) {
    return tensor.container + leaf + (tensor.suffix == "weight" ? "_blocks" : "_scales");
  }
  return tensor.container + leaf + (tensor.suffix == "weight" ? "" : "_" + tensor.suffix);
}

// A number an expert, its first part's.
TestTensor StackNumbers(const Checkpoint& source, const std::string& name, const Members& members) {
  const checkpoint::DType dtype = source.tensor(members.begin()->second.front()).info.dtype;
  std::vector<std::byte> bytes;
  for (const auto& [expert, tensors] : members) {
    const std::vector<std::byte> number =
        ReadTensor(source, source.tensor(tensors.front()).info.name);
    bytes.insert(bytes.end(), number.begin(), number.end());
  }
  return {{name, dtype, {std::ssize(members)}}, std::move(bytes)};
}

// Element by element, as the form is described.
TestTensor Stack(const Checkpoint& source, const std::string& name, const Members& members,
                 const StackForm& form) {
  const TensorInfo& first = source.tensor(members.begin()->second.front()).info;
  if (first.shape.empty()) return StackNumbers(source, name, members);
  const size_t element = static_cast<size_t>(checkpoint::DTypeBits(first.dtype)) / 8;
  const int64_t experts = std::ssize(members), parts = std::ssize(members.begin()->second);
  const int64_t rows = first.shape[0];
  const int64_t columns = first.shape.size() < 2 ? 1 : first.shape[1];
  std::vector<int64_t> shape = {experts, parts * rows, columns};
  if (form.transposed) std::swap(shape[1], shape[2]);
  std::vector<std::byte> bytes(static_cast<size_t>(experts * parts * rows * columns) * element);
  for (const auto& [expert, tensors] : members) {
    for (int64_t part = 0; part < parts; ++part) {
      const size_t tensor = tensors[static_cast<size_t>(part)];
      std::vector<std::byte> from(source.tensor(tensor).info.Bytes());
      source.Read(tensor, 0, from);
      for (int64_t i = 0; i < rows * columns; ++i) {
        const int64_t row = i / columns, column = i % columns;
        const int64_t in_slab = form.interleaved ? row * parts + part : part * rows + row;
        const int64_t place =
            form.transposed ? column * parts * rows + in_slab : in_slab * columns + column;
        std::copy_n(from.begin() + static_cast<ptrdiff_t>(i) * static_cast<ptrdiff_t>(element),
                    element,
                    bytes.begin() + (expert * parts * rows * columns + place) *
                                        static_cast<ptrdiff_t>(element));
      }
    }
  }
  if (form.blocks && name.ends_with("_blocks")) shape = {experts, shape[1], shape[2] / 16, 16};
  return {{name, first.dtype, std::move(shape)}, std::move(bytes)};
}

}  // namespace

std::array<checkpoint::StackRow, 2> StackForm::Rows() const {
  return {
      checkpoint::StackRow{.name = "gate_up_proj",
                           .leaves = {"gate_proj", "up_proj"},
                           .interleaved = interleaved,
                           .transposed = transposed},
      checkpoint::StackRow{.name = "down_proj", .leaves = {"down_proj"}, .transposed = transposed}};
}

std::string StackForm::Name() const {
  return std::string(interleaved ? "Interleaved" : "Concatenated") +
         (transposed ? "Transposed" : "") + (blocks ? "Blocks" : "");
}

void StackExperts(const std::filesystem::path& from, const std::filesystem::path& to,
                  const StackForm& form, int shards) {
  const Checkpoint source = Checkpoint::Open(from);
  std::map<std::string, Members> stacks;
  std::vector<TestTensor> tensors;
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const TensorInfo& info = source.tensor(i).info;
    if (const std::optional<ExpertTensor> expert = ParseExpert(info.name)) {
      std::vector<size_t>& parts = stacks[StackedName(*expert, form)][expert->expert];
      // gate_proj before up_proj, whatever their order in the file.
      parts.insert(expert->leaf == "gate_proj" ? parts.begin() : parts.end(), i);
      continue;
    }
    std::vector<std::byte> bytes(info.Bytes());
    source.Read(i, 0, bytes);
    tensors.push_back({{info.name, info.dtype, info.shape}, std::move(bytes)});
  }
  for (const auto& [name, members] : stacks) tensors.push_back(Stack(source, name, members, form));
  WriteCheckpoint(to, source.config(), tensors, shards);
}

checkpoint::SourceModel OpenStacked(const std::filesystem::path& directory, const StackForm& form) {
  Checkpoint checkpoint = Checkpoint::Open(directory);
  std::unique_ptr<checkpoint::Family> family = checkpoint::MakeAnyFamily(checkpoint.config());
  checkpoint.SplitStacks(form.Rows());
  checkpoint::ModelLayout layout = BuildModelLayout(checkpoint, *family);
  return {std::move(checkpoint), std::move(family), std::move(layout)};
}

}  // namespace vernier::testing
