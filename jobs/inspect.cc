#include "jobs/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/families/family.h"
#include "checkpoint/families/skipped_tensors.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/readable.h"

namespace vernier::jobs {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Family;
using checkpoint::Format;
using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using checkpoint::Role;
using checkpoint::TensorInfo;
namespace formats = checkpoint::formats;

// A config that its own family refuses still leaves the names to guess from.
std::unique_ptr<Family> FindFamily(const Json& config, InspectReport* report) {
  try {
    std::unique_ptr<Family> family = checkpoint::MakeAnyFamily(config);
    if (!family->refusal().empty()) report->notes.emplace_back(family->refusal());
    return family;
  } catch (const Error& error) {
    report->notes.push_back(error.what());
    return checkpoint::MakeGenericFamily(config);
  }
}

void Add(const InspectTotals& part, InspectTotals* sum) {
  sum->weights += part.weights;
  sum->tensors += part.tensors;
  sum->parameters += part.parameters;
  sum->bytes += part.bytes;
}

InspectTotals TotalsOf(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  InspectTotals totals;
  totals.weights = 1;
  for (const size_t part : weight.Parts()) {
    ++totals.tensors;
    totals.bytes += checkpoint.tensor(part).info.Bytes();
  }
  if (weight.format == formats::kInteger || weight.format == formats::kOpaque) {
    return totals;
  }
  totals.parameters = 1;
  for (const int64_t extent : weight.shape) totals.parameters *= extent;
  return totals;
}

std::string BlockText(const LogicalWeight& weight) {
  if (weight.format->parts.span == checkpoint::ScaleSpan::kWeight) return "tensor";
  if (weight.format->parts.span == checkpoint::ScaleSpan::kRow) return "row";
  return fmt::format("{} x {}", weight.block_rows, weight.block_columns);
}

std::string ScalesText(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  if (weight.scale == Checkpoint::kNotFound) return {};
  const std::string text =
      fmt::format("{} per {}", checkpoint.tensor(weight.scale).info.dtype_name, BlockText(weight));
  return weight.global_scale == Checkpoint::kNotFound ? text : text + " and F32 per tensor";
}

// Adds weights up by format; LargestFirst hands the sums out.
class FormatSums {
 public:
  // Format, dtype and scales.
  using Key = std::tuple<Format, std::string, std::string>;

  void Add(const Key& key, const InspectTotals& totals) { jobs::Add(totals, &sums_[key]); }

  std::vector<InspectFormat> LargestFirst() const {
    std::vector<InspectFormat> formats;
    for (const auto& [key, totals] : sums_) {
      const auto& [format, dtype, scales] = key;
      formats.push_back({std::string(FormatName(format)), dtype, scales, totals});
    }
    std::stable_sort(formats.begin(), formats.end(),
                     [](const InspectFormat& a, const InspectFormat& b) {
                       return a.totals.bytes > b.totals.bytes;
                     });
    return formats;
  }

 private:
  std::map<Key, InspectTotals> sums_;
};

// Every run of digits becomes '*'.
std::string NamePattern(std::string_view name) {
  std::string pattern;
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      pattern += c;
    } else if (pattern.empty() || pattern.back() != '*') {
      pattern += '*';
    }
  }
  return pattern;
}

// Why a weight is not understood; empty when it is.
std::string ReasonUnknown(const LogicalWeight& weight, const TensorInfo& info) {
  if (info.dtype == checkpoint::DType::kOpaque) return "unknown dtype";
  if (weight.format == formats::kOpaque) return "no known weight format";
  if (weight.role == Role::kOther) return "unknown name";
  return {};
}

// The weights for which `reason_of` has a reason, counted by pattern, dtype and reason.
template <typename ReasonOf>
std::vector<InspectTensors> FindTensors(const Checkpoint& checkpoint, const ModelLayout& layout,
                                        ReasonOf reason_of) {
  std::map<std::tuple<std::string, std::string, std::string>, int64_t> counts;
  for (const LogicalWeight& weight : layout.weights) {
    const std::string reason(reason_of(weight));
    if (reason.empty()) continue;
    ++counts[{NamePattern(weight.name), checkpoint.tensor(weight.main).info.dtype_name, reason}];
  }
  std::vector<InspectTensors> found;
  for (const auto& [key, count] : counts) {
    const auto& [pattern, dtype, reason] = key;
    found.push_back({pattern, dtype, reason, count});
  }
  return found;
}

void SortOutTensors(const Checkpoint& checkpoint, const ModelLayout& layout,
                    InspectReport* report) {
  const auto skipped = [&](const LogicalWeight& weight) {
    return checkpoint::SkippedBecause(weight.name, checkpoint.config());
  };
  report->skipped = FindTensors(checkpoint, layout, skipped);
  report->not_understood =
      FindTensors(checkpoint, layout, [&](const LogicalWeight& weight) -> std::string {
        if (!skipped(weight).empty()) return {};
        return ReasonUnknown(weight, checkpoint.tensor(weight.main).info);
      });
}

void CountWeights(const Checkpoint& checkpoint, const ModelLayout& layout, InspectReport* report) {
  std::array<InspectTotals, checkpoint::kRoleCount> role_totals;
  std::array<FormatSums, checkpoint::kRoleCount> role_formats;
  FormatSums formats;
  for (const LogicalWeight& weight : layout.weights) {
    const auto role = static_cast<size_t>(weight.role);
    const InspectTotals totals = TotalsOf(checkpoint, weight);
    Add(totals, &role_totals[role]);
    Add(totals, &report->totals);
    const FormatSums::Key key = {weight.format, checkpoint.tensor(weight.main).info.dtype_name,
                                 ScalesText(checkpoint, weight)};
    role_formats[role].Add(key, totals);
    formats.Add(key, totals);
  }
  report->formats = formats.LargestFirst();
  for (size_t i = 0; i < role_totals.size(); ++i) {
    if (role_totals[i].weights == 0) continue;
    report->roles.push_back({std::string(RoleName(static_cast<Role>(i))),
                             role_formats[i].LargestFirst(), role_totals[i]});
  }
}

void CountLayers(const ModelLayout& layout, InspectReport* report) {
  std::set<int> hash_routed;
  int last_layer = -1;
  int last_mtp_layer = -1;
  int last_expert = -1;
  for (const LogicalWeight& weight : layout.weights) {
    int& last = weight.role == Role::kMtp ? last_mtp_layer : last_layer;
    last = std::max(last, weight.layer);
    last_expert = std::max(last_expert, weight.expert);
    // A router that is a table of integers picks experts by token id.
    if (weight.role == Role::kRouter && weight.format == formats::kInteger) {
      hash_routed.insert(weight.layer);
    }
  }
  report->layers = last_layer + 1;
  report->mtp_layers = last_mtp_layer + 1;
  report->experts = last_expert + 1;
  report->hash_routed_layers.assign(hash_routed.begin(), hash_routed.end());
}

void ListFiles(const Checkpoint& checkpoint, InspectReport* report) {
  for (const checkpoint::Shard& shard : checkpoint.shards()) {
    report->files.push_back({shard.file_name, shard.file_bytes, 0});
  }
  for (const checkpoint::TensorLocation& location : checkpoint.stored_tensors()) {
    ++report->files[location.shard].tensors;
  }
}

void NoteLeftOut(const Checkpoint& checkpoint, InspectReport* report) {
  report->left_out = checkpoint.left_out();
  if (report->left_out.empty()) return;
  report->notes.push_back(
      fmt::format("left out, because engines read only the rest: {}", JoinNames(report->left_out)));
}

void NoteSkipped(InspectReport* report) {
  for (const InspectTensors& each : report->skipped) {
    report->notes.push_back(fmt::format("engines skip {} ({} {}): {}", each.pattern, each.tensors,
                                        each.tensors == 1 ? "tensor" : "tensors", each.reason));
  }
}

// What keeps other commands from reading the checkpoint.
void NoteRefusal(const Checkpoint& checkpoint, const ModelLayout& layout, InspectReport* report) {
  try {
    checkpoint::RequireReadable(checkpoint, layout);
  } catch (const Error& error) {
    report->notes.push_back(error.what());
  }
}

void CompareTotalSize(const Checkpoint& checkpoint, InspectReport* report) {
  const auto& stated = checkpoint.index_total_size();
  if (!stated || *stated == checkpoint.TensorBytes()) return;
  report->notes.push_back(fmt::format("{} states a total_size of {}, but the tensors have {} bytes",
                                      checkpoint::kIndexFileName, *stated,
                                      checkpoint.TensorBytes()));
}

}  // namespace

InspectReport Inspect(const std::filesystem::path& directory) {
  Checkpoint checkpoint = Checkpoint::Open(directory);
  InspectReport ignored;
  checkpoint.SplitStacks(FindFamily(checkpoint.config(), &ignored)->Stacks());
  return BuildInspectReport(checkpoint);
}

InspectReport BuildInspectReport(const Checkpoint& checkpoint) {
  InspectReport report;
  report.directory = checkpoint.directory().string();
  const auto model_type = checkpoint.config().find("model_type");
  if (model_type != checkpoint.config().end() && model_type->is_string()) {
    report.model_type = model_type->get<std::string>();
  }
  const std::unique_ptr<Family> family = FindFamily(checkpoint.config(), &report);
  report.roles_guessed = family->guessed();
  const ModelLayout layout = checkpoint::BuildModelLayout(checkpoint, *family, &report.notes);
  CountWeights(checkpoint, layout, &report);
  CountLayers(layout, &report);
  report.experts_per_token = family->Dims().experts_per_token;
  for (std::string& name : family->RequiredTensors()) {
    if (layout.FindName(name) == nullptr) report.missing.push_back(std::move(name));
  }
  SortOutTensors(checkpoint, layout, &report);
  ListFiles(checkpoint, &report);
  NoteRefusal(checkpoint, layout, &report);
  CompareTotalSize(checkpoint, &report);
  NoteLeftOut(checkpoint, &report);
  NoteSkipped(&report);
  return report;
}

}  // namespace vernier::jobs
