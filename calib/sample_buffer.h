// One tensor per calibration sample, for all samples: in memory, or in a file.
#ifndef VERNIER_CALIB_SAMPLE_BUFFER_H_
#define VERNIER_CALIB_SAMPLE_BUFFER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace vernier::calib {

// A [samples, sample_shape...] tensor of which only the samples in use need be in memory. Its bytes
// are those of the contiguous tensor, in memory and on disk. Not thread-safe.
class SampleBuffer {
 public:
  // In host memory.
  static SampleBuffer InMemory(int64_t samples, std::vector<int64_t> sample_shape,
                               at::ScalarType dtype);
  // In `memory` [samples, ...], contiguous, of the host or a device.
  static SampleBuffer Over(at::Tensor memory);
  // Creates (or truncates) `file`. The buffer does not delete it.
  static SampleBuffer InFile(const std::filesystem::path& file, int64_t samples,
                             std::vector<int64_t> sample_shape, at::ScalarType dtype);
  // Reads and writes an existing file of exactly the buffer's size (kTruncated otherwise).
  static SampleBuffer OpenFile(const std::filesystem::path& file, int64_t samples,
                               std::vector<int64_t> sample_shape, at::ScalarType dtype);

  // The same for a file that holds samples of this buffer's shape and dtype.
  SampleBuffer OpenSame(const std::filesystem::path& file) const {
    return OpenFile(file, samples_, sample_shape_, dtype_);
  }

  int64_t samples() const { return samples_; }
  uint64_t sample_bytes() const { return sample_bytes_; }
  uint64_t Bytes() const { return static_cast<uint64_t>(samples_) * sample_bytes_; }
  bool in_file() const { return file_.has_value(); }
  // Where Get's tensors are.
  at::Device device() const { return file_ ? at::Device(at::kCPU) : memory_.device(); }

  // Samples [first, first + count) as a tensor [count, sample_shape...]: in memory, wherever that
  // is, a view that the next Put changes; of a file a copy in host memory.
  at::Tensor Get(int64_t first, int64_t count) const;
  // Stores `values` [count, sample_shape...] (from any device, cast to the buffer's dtype). A view
  // that Get returned, changed in place, is where it belongs already.
  void Put(int64_t first, const at::Tensor& values);

  // The file that it is in; empty when in memory.
  std::filesystem::path path() const { return file_ ? file_->path() : std::filesystem::path(); }

  // Copies samples [first, first + count) of `other`, which has the same shape and dtype.
  void CopyFrom(const SampleBuffer& other, int64_t first, int64_t count);

  // Writes samples [first, first + count) to `file`, where they lie at their places in the whole
  // tensor. For a buffer in a file, that is its own. kNoSpace, kFileWrite.
  void WriteTo(const std::filesystem::path& file, int64_t first, int64_t count) const;
  // The same, durably.
  void SaveTo(const std::filesystem::path& file, int64_t first, int64_t count) const;

  // A copy beside the original. Of one in memory.
  SampleBuffer Clone() const;

  // XXH3-128 of the XXH3-128 digests of samples [first, first + count): what was hashed once need
  // not be read again.
  std::string Hash(int64_t first, int64_t count) const;

 private:
  SampleBuffer(int64_t samples, std::vector<int64_t> sample_shape, at::ScalarType dtype);
  // How many samples make a piece of a whole-buffer operation.
  int64_t SamplesPerPiece() const;
  // Get's, contiguous in host memory.
  at::Tensor HostCopy(int64_t first, int64_t count) const;
  void Digest(int64_t first, const at::Tensor& host_values) const;

  int64_t samples_;
  std::vector<int64_t> sample_shape_;
  at::ScalarType dtype_;
  uint64_t sample_bytes_;
  at::Tensor memory_;                         // [samples, ...]; defined when in memory
  std::optional<File> file_;                  // set when in a file
  mutable std::vector<std::string> digests_;  // of each sample; empty while not known
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SAMPLE_BUFFER_H_
