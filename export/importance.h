// Per-input-channel weights of the error that a scale search minimises.
#ifndef VERNIER_EXPORT_IMPORTANCE_H_
#define VERNIER_EXPORT_IMPORTANCE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/safetensors.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// A safetensors file of F32 vectors [columns], named like modules ("layers.0.ffn.w1") or their
// weights. Read a vector at a time. Thread-safe.
class Importance {
 public:
  // No file: nothing is weighted.
  Importance() = default;
  // kFileOpen, kBadHeader, kTruncated; kWrongDtype for anything but F32.
  explicit Importance(const std::filesystem::path& path);

  // The weight's vector; empty when there is none for it. kWrongShape unless it has one number per
  // column; kBadWeightValue unless all are finite and >= 0.
  std::vector<float> Of(const checkpoint::LogicalWeight& weight) const;

  // How many of the weights that the plan searches by error have a vector. kBadRule names a vector
  // that belongs to no such weight: it was meant to change something.
  int64_t CountUses(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) const;

  // Of the whole file, empty without one: what results depend on.
  const std::string& hash() const { return hash_; }

 private:
  std::optional<File> file_;
  std::unordered_map<std::string, checkpoint::TensorInfo> vectors_;
  std::string hash_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_IMPORTANCE_H_
