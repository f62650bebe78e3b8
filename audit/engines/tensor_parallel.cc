#include "audit/engines/tensor_parallel.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kCannotSplit = {"V11", Severity::kError,
                                 "a weight cannot be cut for the tensor-parallel size asked for",
                                 "Serve with fewer devices per tensor, or with expert parallelism"};
constexpr Defect kGatedRows = {
    "V11", Severity::kWarning,
    "an expert's gate and up rows together are no multiple of 128, which CUTLASS kernels demand",
    "Serve with kernels that pad (TensorRT-LLM's), or leave these experts unquantised"};

constexpr int64_t kGatedRowMultiple = 128;

enum class Cut { kWhole, kRows, kColumns };

Cut CutOf(std::string_view leaf) {
  constexpr std::array<std::string_view, 13> kByRows = {
      "q_proj", "k_proj", "v_proj",   "qkv_proj",  "gate_proj", "up_proj", "gate_up_proj",
      "w1",     "w3",     "q_b_proj", "kv_b_proj", "wq_b",      "wo_a"};
  constexpr std::array<std::string_view, 5> kByColumns = {"o_proj", "down_proj", "w2", "wo_b",
                                                          "out_proj"};
  if (IsOneOf(leaf, kByRows)) return Cut::kRows;
  return IsOneOf(leaf, kByColumns) ? Cut::kColumns : Cut::kWhole;
}

// Values per stored element along a row.
int64_t ValuesPerByte(StoredFormat format) {
  return checkpoint::IsNvfp4(format) || format == formats::kMxfp4 ? 2 : 1;
}

// Whether it is known how a quantised format may be cut.
bool IsCut(StoredFormat format) {
  return IsQuantised(format) && IsJudged(format) && format != formats::kInt4Zero &&
         format != formats::kInt4Rows;
}

// Rows and columns that share a scale and must not be cut apart.
struct Block {
  int64_t rows = 1;
  int64_t columns = 1;
};

Block BlockOf(const Subject& subject, StoredFormat format) {
  if (format == formats::kNvfp4) return {1, quantizers::kNvfp4BlockSize};
  if (format == formats::kNvfp4Wide) return {1, 2 * quantizers::kNvfp4BlockSize};
  if (format == formats::kMxfp4 || format == formats::kMxfp8) {
    return {1, quantizers::kMxfp4BlockSize};
  }
  if (format != formats::kFp8Block) return {};
  const std::vector<int64_t>& size = subject.Config().weight_block_size;
  const bool given = size.size() == 2 && size[0] > 0 && size[1] > 0;
  return given ? Block{size[0], size[1]} : Block{};
}

class Splitter {
 public:
  explicit Splitter(const Subject& subject)
      : subject_(subject), head_dim_(subject.family->Dims().head_dim) {}

  // Why `module` cannot be cut into `size` parts; nothing when it can.
  std::optional<std::string> Problem(const Module& module, int size) const {
    const checkpoint::TensorInfo& weight = subject_.Info(module.weight);
    if (!IsCut(module.format) || weight.shape.size() != 2 || size == 1 ||
        module.meaning.role == Role::kIndexer) {
      return std::nullopt;
    }
    const std::string_view leaf = LeafOf(module.name);
    const Block block = BlockOf(subject_, module.format);
    switch (CutOf(leaf)) {
      case Cut::kRows:
        if (IsKeyOrValue(leaf) && Replicates(weight.shape[0], size)) return std::nullopt;
        return Uneven(weight.shape[0], size, block.rows, "rows");
      case Cut::kColumns:
        return Uneven(weight.shape[1] * ValuesPerByte(module.format), size, block.columns,
                      "columns");
      case Cut::kWhole:
        break;
    }
    return std::nullopt;
  }

 private:
  static bool IsKeyOrValue(std::string_view leaf) { return leaf == "k_proj" || leaf == "v_proj"; }

  // Fewer key/value heads than devices: each head is held by several.
  bool Replicates(int64_t rows, int size) const {
    if (head_dim_ <= 0 || rows % head_dim_ != 0) return false;
    const int64_t heads = rows / head_dim_;
    return heads > 0 && heads < size && size % heads == 0;
  }

  static std::optional<std::string> Uneven(int64_t count, int size, int64_t block,
                                           std::string_view what) {
    if (count % size == 0 && count / size % block == 0) return std::nullopt;
    std::string text =
        std::to_string(count) + " " + std::string(what) + " over " + std::to_string(size);
    if (block > 1) text += ", blocks of " + std::to_string(block);
    return text;
  }

  const Subject& subject_;
  int64_t head_dim_;
};

// Rows of w1 and w3 together on each of `size` devices.
bool HasOddGatedRows(const Subject& subject, const Module& module, int size) {
  if (!module.IsMainExpert() || module.format != formats::kNvfp4) return false;
  const std::vector<int64_t>& shape = subject.Info(module.weight).shape;
  const bool is_gate = module.name.ends_with(".w1") || module.name.ends_with(".gate_proj");
  return is_gate && shape.size() == 2 && 2 * shape[0] / size % kGatedRowMultiple != 0;
}

}  // namespace

std::vector<TensorParallelVerdict> CheckTensorParallel(const Subject& subject,
                                                       const std::vector<RuntimeModule>& modules,
                                                       int size, FindingList* findings) {
  const Splitter splitter(subject);
  std::vector<TensorParallelVerdict> verdicts;
  for (const int parts : kTensorParallelSizes) {
    TensorParallelVerdict verdict = {.size = parts, .problems = 0, .first_problem = {}};
    for (const RuntimeModule& module : modules) {
      for (const Module* member : module.members) {
        if (parts == size && HasOddGatedRows(subject, *member, parts)) {
          findings->Add(kGatedRows, member->name, {Engine::kVllm, Engine::kSglang});
        }
        const std::optional<std::string> problem = splitter.Problem(*member, parts);
        if (!problem) continue;
        const std::string text = member->name + " (" + *problem + ")";
        if (verdict.problems++ == 0) verdict.first_problem = text;
        if (parts == size) findings->Add(kCannotSplit, text);
      }
    }
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

}  // namespace vernier::audit
