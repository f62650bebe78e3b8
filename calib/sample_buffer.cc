#include "calib/sample_buffer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace vernier::calib {
namespace {

constexpr uint64_t kPieceBytes = 16u << 20;

std::span<std::byte> TensorBytes(const at::Tensor& tensor) {
  assert(tensor.is_contiguous() && tensor.device().is_cpu());
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

std::vector<int64_t> WithLeading(int64_t count, const std::vector<int64_t>& sample_shape) {
  std::vector<int64_t> shape = {count};
  shape.insert(shape.end(), sample_shape.begin(), sample_shape.end());
  return shape;
}

}  // namespace

SampleBuffer::SampleBuffer(int64_t samples, std::vector<int64_t> sample_shape, at::ScalarType dtype)
    : samples_(samples),
      sample_shape_(std::move(sample_shape)),
      dtype_(dtype),
      digests_(static_cast<size_t>(samples)) {
  sample_bytes_ = c10::elementSize(dtype);
  for (int64_t size : sample_shape_) sample_bytes_ *= static_cast<uint64_t>(size);
}

SampleBuffer SampleBuffer::InMemory(int64_t samples, std::vector<int64_t> sample_shape,
                                    at::ScalarType dtype) {
  return Over(at::empty(WithLeading(samples, sample_shape), dtype));
}

SampleBuffer SampleBuffer::Over(at::Tensor memory) {
  assert(memory.is_contiguous());
  SampleBuffer buffer(memory.size(0), memory.sizes().slice(1).vec(), memory.scalar_type());
  buffer.memory_ = std::move(memory);
  return buffer;
}

SampleBuffer SampleBuffer::InFile(const std::filesystem::path& file, int64_t samples,
                                  std::vector<int64_t> sample_shape, at::ScalarType dtype) {
  SampleBuffer buffer(samples, std::move(sample_shape), dtype);
  buffer.file_ = File::OpenForWrite(file, /*truncate=*/true);
  buffer.file_->Preallocate(buffer.Bytes());
  return buffer;
}

SampleBuffer SampleBuffer::OpenFile(const std::filesystem::path& file, int64_t samples,
                                    std::vector<int64_t> sample_shape, at::ScalarType dtype) {
  SampleBuffer buffer(samples, std::move(sample_shape), dtype);
  buffer.file_ = File::OpenForWrite(file, /*truncate=*/false);
  if (const uint64_t size = buffer.file_->Size(); size != buffer.Bytes()) {
    throw Error(ErrorCode::kTruncated, file.string(),
                fmt::format("the file has {} bytes instead of {}", size, buffer.Bytes()),
                "Delete the run directory and calibrate again");
  }
  return buffer;
}

int64_t SampleBuffer::SamplesPerPiece() const {
  return std::clamp<int64_t>(
      static_cast<int64_t>(kPieceBytes / std::max<uint64_t>(1, sample_bytes_)), 1, samples_);
}

at::Tensor SampleBuffer::Get(int64_t first, int64_t count) const {
  assert(first >= 0 && count > 0 && first + count <= samples_);
  if (!file_) return memory_.narrow(0, first, count);
  at::Tensor values = at::empty(WithLeading(count, sample_shape_), dtype_);
  file_->ReadAt(static_cast<uint64_t>(first) * sample_bytes_, TensorBytes(values));
  return values;
}

at::Tensor SampleBuffer::HostCopy(int64_t first, int64_t count) const {
  return Get(first, count).to(at::kCPU);
}

void SampleBuffer::Put(int64_t first, const at::Tensor& values) {
  const int64_t count = values.size(0);
  assert(first >= 0 && first + count <= samples_);
  std::fill_n(digests_.begin() + first, count, std::string());
  if (!file_) {
    const at::Tensor place = memory_.narrow(0, first, count);
    if (place.data_ptr() == values.data_ptr()) return;
    place.copy_(values.view(WithLeading(count, sample_shape_)));
    return;
  }
  const at::Tensor host = values.to(at::kCPU, dtype_).contiguous();
  file_->WriteAt(static_cast<uint64_t>(first) * sample_bytes_, TensorBytes(host));
  Digest(first, host);
}

void SampleBuffer::Digest(int64_t first, const at::Tensor& host_values) const {
  std::span<const std::byte> bytes = TensorBytes(host_values);
  for (int64_t sample = first; !bytes.empty(); ++sample) {
    Hasher hasher;
    hasher.Update(bytes.first(sample_bytes_));
    digests_[static_cast<size_t>(sample)] = hasher.Hex();
    bytes = bytes.subspan(sample_bytes_);
  }
}

void SampleBuffer::CopyFrom(const SampleBuffer& other, int64_t first, int64_t count) {
  assert(other.samples_ == samples_ && other.sample_shape_ == sample_shape_);
  const int64_t step = SamplesPerPiece();
  for (int64_t done = 0; done < count; done += step) {
    Put(first + done, other.Get(first + done, std::min(step, count - done)));
  }
}

void SampleBuffer::WriteTo(const std::filesystem::path& file, int64_t first, int64_t count) const {
  assert(!file_ || file == file_->path());
  if (file_) return;
  const File target = File::OpenForWrite(file, /*truncate=*/false);
  if (target.Size() != Bytes()) target.Preallocate(Bytes());
  const int64_t step = SamplesPerPiece();
  for (int64_t done = 0; done < count; done += step) {
    const at::Tensor piece = HostCopy(first + done, std::min(step, count - done));
    target.WriteAt(static_cast<uint64_t>(first + done) * sample_bytes_, TensorBytes(piece));
    Digest(first + done, piece);
  }
}

void SampleBuffer::SaveTo(const std::filesystem::path& file, int64_t first, int64_t count) const {
  WriteTo(file, first, count);
  if (file_) return file_->Sync();
  File::OpenForWrite(file, /*truncate=*/false).Sync();
}

SampleBuffer SampleBuffer::Clone() const {
  assert(!file_);
  SampleBuffer copy = Over(memory_.clone());
  copy.digests_ = digests_;
  return copy;
}

std::string SampleBuffer::Hash(int64_t first, int64_t count) const {
  Hasher hasher;
  for (int64_t sample = first; sample < first + count; ++sample) {
    const std::string& digest = digests_[static_cast<size_t>(sample)];
    if (digest.empty()) Digest(sample, HostCopy(sample, 1));
    hasher.Update(digest);
  }
  return hasher.Hex();
}

}  // namespace vernier::calib
