// What a checkpoint holds, from its headers alone.
#ifndef VERNIER_JOBS_INSPECT_H_
#define VERNIER_JOBS_INSPECT_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::jobs {

struct InspectTotals {
  int64_t weights = 0;     // logical weights
  int64_t tensors = 0;     // their parts
  int64_t parameters = 0;  // values after dequantisation; integer tables and unknown bytes count 0
  uint64_t bytes = 0;
};

// One way in which weights are stored.
struct InspectFormat {
  std::string format;  // FormatName
  std::string dtype;   // of the main tensor
  std::string scales;  // "F8_E8M0 per 128 x 128", empty without scales
  InspectTotals totals;
};

struct InspectRole {
  std::string role;                    // RoleName
  std::vector<InspectFormat> formats;  // largest first
  InspectTotals totals;
};

struct InspectFile {
  std::string name;
  uint64_t bytes = 0;
  int64_t tensors = 0;
};

// Tensors whose names differ only in numbers, which are written as '*', and what is the matter.
struct InspectTensors {
  std::string pattern;
  std::string dtype;
  std::string reason;
  int64_t tensors = 0;
};

struct InspectReport {
  std::string directory;
  std::string model_type;      // empty when config.json has none
  bool roles_guessed = false;  // from tensor names, for want of the model's family
  int64_t layers = 0;
  int64_t mtp_layers = 0;
  int64_t experts = 0;  // routed experts per layer
  int64_t experts_per_token = 0;
  std::vector<int> hash_routed_layers;
  std::vector<InspectRole> roles;      // in the order of checkpoint::Role, only those present
  std::vector<InspectFormat> formats;  // largest first
  InspectTotals totals;
  std::vector<InspectFile> files;
  std::vector<std::string> left_out;  // weight files of the directory that are not among them
  std::vector<InspectTensors> not_understood;
  std::vector<InspectTensors> skipped;  // by engines (families/skipped_tensors.h)
  std::vector<std::string> missing;     // required tensors that are absent
  std::vector<std::string> notes;       // anything else worth a reader's attention
};

// The report of the checkpoint in `directory`. kNoCheckpoint, kFileOpen and what keeps headers from
// being read.
InspectReport Inspect(const std::filesystem::path& directory);

// Never fails on what the tensors mean: a config or a weight that makes no sense becomes a note,
// and so does the reason for which other commands refuse the checkpoint.
InspectReport BuildInspectReport(const checkpoint::Checkpoint& checkpoint);

Json InspectJson(const InspectReport& report);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_INSPECT_H_
