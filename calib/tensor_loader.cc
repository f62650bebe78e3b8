#include "calib/tensor_loader.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/tensor_digests.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
namespace formats = checkpoint::formats;

constexpr std::string_view kWeightSuffix = ".weight";

std::string_view ModuleOf(std::string_view name) {
  return name.ends_with(kWeightSuffix) ? name.substr(0, name.size() - kWeightSuffix.size()) : name;
}

template <typename T, typename Element>
std::span<T> Elements(at::Tensor& tensor) {
  return {reinterpret_cast<T*>(tensor.data_ptr<Element>()), static_cast<size_t>(tensor.numel())};
}

// An integer table as stored, then widened to I64.
at::Tensor ReadIntegers(const checkpoint::Checkpoint& checkpoint, const LogicalWeight& weight,
                        checkpoint::ReadObserver* observer) {
  const checkpoint::DType dtype = checkpoint.tensor(weight.main).info.dtype;
  if (dtype != checkpoint::DType::kI64 && dtype != checkpoint::DType::kI32) {
    throw Error(ErrorCode::kWrongDtype, weight.name,
                "is a table of " + checkpoint.tensor(weight.main).info.dtype_name +
                    " where I64 or I32 is needed",
                "Use the checkpoint as released");
  }
  const at::ScalarType stored = dtype == checkpoint::DType::kI64 ? at::kLong : at::kInt;
  at::Tensor table = at::empty(weight.shape, at::TensorOptions().dtype(stored));
  const std::span bytes(static_cast<std::byte*>(table.data_ptr()), table.nbytes());
  checkpoint.Read(weight.main, 0, bytes);
  checkpoint::TensorDigests(checkpoint, observer).Add(weight.main, 0, bytes);
  return table.to(at::kLong);
}

}  // namespace

TensorLoader::TensorLoader(const checkpoint::SourceModel& source, at::Device device,
                           at::ScalarType compute_dtype, checkpoint::ReadOptions read,
                           std::optional<WeightStreamOptions> stream)
    : source_(&source),
      read_(read),
      reader_(source.checkpoint, read),
      device_(device),
      compute_dtype_(compute_dtype) {
  assert(compute_dtype == at::kBFloat16 || compute_dtype == at::kFloat);
  // Clamping looks at every element and counts: on the host.
  if (!read.clamp) stream_ = stream;
  if (!read.clamp && !stream && !device.is_cpu()) stream_.emplace();
}

bool TensorLoader::Has(std::string_view name) const {
  const LogicalWeight* weight = source_->layout.FindModule(ModuleOf(name));
  return weight != nullptr && weight->name == name;
}

bool TensorLoader::ReadAhead(const UpcomingWeights& next) const {
  if (!stream_) return false;
  if (!streamed_) {
    streamed_ = std::make_unique<StreamedWeights>(*source_, read_.observer, device_, *stream_);
  }
  std::vector<const LogicalWeight*> weights = streamed_->InOrder(next);
  if (substitutes_ != nullptr) {
    const auto ours = std::ranges::stable_partition(
        weights, [this](const LogicalWeight* weight) { return !IsSubstituted(*weight); });
    substitutes_->Expect({ours.begin(), ours.end()});
    weights.erase(ours.begin(), ours.end());
  }
  streamed_->Expect(weights);
  return true;
}

void TensorLoader::Keep(std::set<const LogicalWeight*> weights) {
  keeps_ = std::move(weights);
  kept_.clear();
}

at::Tensor TensorLoader::TakeKept(const LogicalWeight& weight) {
  keeps_.erase(&weight);
  const auto kept = kept_.extract(&weight);
  return kept.empty() ? at::Tensor() : std::move(kept.mapped());
}

void TensorLoader::CheckWeights() const {
  if (!streamed_) return;
  // The reader knows which element it is.
  if (const LogicalWeight* bad = streamed_->TakeBad()) LoadToHost(*bad, compute_dtype_);
}

at::Tensor TensorLoader::Load(std::string_view name) const { return LoadAndKeep(Find(name)); }

at::Tensor TensorLoader::LoadAndKeep(const LogicalWeight& weight) const {
  at::Tensor values = LoadTo(weight, compute_dtype_);
  if (stream_ && keeps_.contains(&weight) && !IsSubstituted(weight)) kept_[&weight] = values;
  return values;
}

at::Tensor TensorLoader::LoadAhead(std::string_view name) const {
  const LogicalWeight& weight = Find(name);
  return stream_ ? LoadAndKeep(weight) : LoadToHost(weight, compute_dtype_);
}

at::Tensor TensorLoader::LoadExact(std::string_view name) const {
  const LogicalWeight& weight = Find(name);
  if (weight.format == formats::kInteger) {
    return ReadIntegers(source_->checkpoint, weight, read_.observer).to(device_);
  }
  return LoadTo(weight, at::kFloat);
}

at::Tensor TensorLoader::LoadToHost(const LogicalWeight& weight, at::ScalarType dtype) const {
  if (IsSubstituted(weight)) return substitutes_->Of(weight, at::kCPU).to(dtype);
  return ReadRows(weight, 0, weight.rows(), dtype);
}

at::Tensor TensorLoader::LoadTo(const LogicalWeight& weight, at::ScalarType dtype) const {
  if (IsSubstituted(weight)) return substitutes_->Of(weight, device_).to(dtype);
  if (streamed_ && streamed_->Expects(weight)) return streamed_->Take(weight, dtype);
  return LoadToHost(weight, dtype).to(device_);
}

at::Tensor TensorLoader::LoadRows(std::string_view name, const at::Tensor& rows) const {
  const LogicalWeight& weight = Find(name);
  const auto [distinct, position] = at::_unique(rows, /*sorted=*/true, /*return_inverse=*/true);
  const int64_t count = distinct.numel();
  at::Tensor values =
      at::empty({count, weight.columns()}, at::TensorOptions().dtype(compute_dtype_));
  const auto index = distinct.accessor<int64_t, 1>();
  std::vector<std::pair<int64_t, int64_t>> runs;  // of neighbouring rows, which are read at once
  for (int64_t begin = 0; begin < count; begin = runs.back().second) {
    int64_t end = begin + 1;
    while (end < count && index[end] == index[end - 1] + 1) ++end;
    runs.emplace_back(begin, end);
  }
  tbb::parallel_for(size_t{0}, runs.size(), [&](size_t i) {
    const auto [begin, end] = runs[i];
    ReadRowsInto(weight, index[begin], end - begin, values.slice(0, begin, end));
  });
  return values.to(device_).index_select(0, position.to(device_));
}

const LogicalWeight& TensorLoader::Find(std::string_view name) const {
  const LogicalWeight* weight = source_->layout.FindModule(ModuleOf(name));
  if (weight == nullptr || weight->name != name) {
    throw Error(ErrorCode::kMissingTensor, name, "is not in the checkpoint, but the model needs it",
                "Download the checkpoint completely");
  }
  return *weight;
}

at::Tensor TensorLoader::ReadRows(const LogicalWeight& weight, int64_t begin, int64_t count,
                                  at::ScalarType dtype) const {
  std::vector<int64_t> shape = weight.shape;
  if (!shape.empty()) shape[0] = count;
  at::Tensor rows = at::empty(shape, at::TensorOptions().dtype(dtype));
  ReadRowsInto(weight, begin, count, rows);
  return rows;
}

void TensorLoader::ReadRowsInto(const LogicalWeight& weight, int64_t begin, int64_t count,
                                at::Tensor rows) const {
  if (rows.scalar_type() == at::kFloat) {
    reader_.ReadF32(weight, begin, count, Elements<float, float>(rows));
  } else {
    reader_.ReadBf16(weight, begin, count, Elements<uint16_t, at::BFloat16>(rows));
  }
}

}  // namespace vernier::calib
