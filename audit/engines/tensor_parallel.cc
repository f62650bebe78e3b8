#include "audit/engines/tensor_parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "audit/engines/weight_blocks.h"
#include "base/text.h"
#include "checkpoint/config_facts.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kCannotSplit = {"V11", Severity::kError,
                                 "a weight cannot be cut for the tensor-parallel size asked for",
                                 "Serve with fewer devices per tensor, or with expert parallelism"};
constexpr Defect kUnevenHeads = {
    "V11", Severity::kError,
    "attention has no whole heads for each device of the tensor-parallel size asked for",
    "Serve with a number of devices that divides the heads"};
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

class Splitter {
 public:
  explicit Splitter(const Subject& subject)
      : subject_(subject), head_dim_(subject.family->Dims().head_dim) {}

  // Why `module` cannot be cut into `size` parts; nothing when it can.
  std::optional<std::string> Problem(const Module& module, int size) const {
    const std::optional<WeightBlocks> weight = BlocksOf(subject_, module);
    if (!weight || size == 1 || module.meaning.role == Role::kIndexer) return std::nullopt;
    const std::string_view leaf = LeafOf(module.name);
    switch (CutOf(leaf)) {
      case Cut::kRows:
        if (IsKeyOrValue(leaf) && Replicates(weight->rows, size)) {
          return UnevenHead(weight->block_rows);
        }
        return Uneven(weight->rows, size, weight->block_rows, "rows");
      case Cut::kColumns:
        return Uneven(weight->columns, size, weight->block_columns, "columns");
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

  std::optional<std::string> UnevenHead(int64_t block) const {
    if (head_dim_ % block == 0) return std::nullopt;
    return fmt::format("{} rows of a head on each, blocks of {}", head_dim_, block);
  }

  static std::optional<std::string> Uneven(int64_t count, int size, int64_t block,
                                           std::string_view what) {
    if (count % size == 0 && count / size % block == 0) return std::nullopt;
    std::string text = fmt::format("{} {} over {}", count, what, size);
    if (block > 1) text += fmt::format(", blocks of {}", block);
    return text;
  }

  const Subject& subject_;
  int64_t head_dim_;
};

int64_t HeadCount(const Subject& subject, std::string_view field) {
  const checkpoint::ConfigFact fact =
      checkpoint::FindModelField(subject.checkpoint.config(), field);
  return fact && fact.value->is_number_integer() ? fact.value->get<int64_t>() : 0;
}

// Engines cut attention by heads, whatever its rows; those of keys and values may be held by
// several devices, equally many each.
std::optional<std::string> UnevenHeads(const Subject& subject, int size) {
  constexpr std::string_view kHeads = "num_attention_heads", kOfKeys = "num_key_value_heads";
  const int64_t heads = HeadCount(subject, kHeads), of_keys = HeadCount(subject, kOfKeys);
  if (heads > 0 && heads % size != 0) return fmt::format("{} ({} over {})", kHeads, heads, size);
  const bool even = of_keys <= 0 || (of_keys >= size ? of_keys % size : size % of_keys) == 0;
  return even ? std::nullopt
              : std::optional(fmt::format("{} ({} over {})", kOfKeys, of_keys, size));
}

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
    if (const std::optional<std::string> heads = UnevenHeads(subject, parts)) {
      verdict.first_problem = *heads;
      ++verdict.problems;
      if (parts == size) findings->Add(kUnevenHeads, *heads);
    }
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
