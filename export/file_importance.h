// Importance vectors that somebody else made.
#ifndef VERNIER_EXPORT_FILE_IMPORTANCE_H_
#define VERNIER_EXPORT_FILE_IMPORTANCE_H_

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "export/importance.h"

namespace vernier::exporter {

// A safetensors file of F32 vectors [columns], named like modules ("layers.0.ffn.w1") or their
// weights. Read a vector at a time.
class FileImportance final : public Importance {
 public:
  // kFileOpen, kBadHeader, kTruncated; kWrongDtype for anything but F32.
  explicit FileImportance(const std::filesystem::path& path);

  // kWrongShape unless the vector has one number per column; kBadWeightValue unless all are finite
  // and >= 0.
  std::vector<float> Of(const checkpoint::LogicalWeight& weight) const override;

  // kBadRule names a vector that belongs to no weight that is searched: it was meant to change
  // something.
  int64_t CountUses(const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan) const override;

  std::string hash() const override { return hash_; }
  std::string_view origin() const override { return "file"; }

 private:
  File file_;
  std::unordered_map<std::string, checkpoint::TensorInfo> vectors_;
  std::string hash_;  // of the whole file
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_FILE_IMPORTANCE_H_
