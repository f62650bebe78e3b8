#include "calib/device_statistics.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "base/rounding.h"

namespace vernier::calib {
namespace {

constexpr unsigned kPartThreads = 256;
struct Ranges {
  std::array<long long, kLookRanges + 1> begin = {};
};

// Of a range that begins at number `first`; null where nothing is wanted.
template <class Element>
Element* Place(const at::Tensor& target, int64_t first) {
  if (!target.defined()) return nullptr;
  assert(target.is_contiguous());
  return target.data_ptr<Element>() + (target.dim() > 1 ? first * target.stride(0) : 0);
}

// Never destroyed: the device may be gone by then.
KernelsOfSource& Kernels() {
  static auto& kernels = *new KernelsOfSource(kStatisticsKernelSource);
  return kernels;
}

}  // namespace

std::optional<DeviceStatistics> DeviceStatistics::Find(at::Device device) {
  const DeviceKernels* kernels = Kernels().Find(device);
  return kernels == nullptr ? std::nullopt : std::optional(DeviceStatistics(*kernels));
}

std::string DeviceStatistics::ProblemOf(at::Device device) { return Kernels().ProblemOf(device); }

void DeviceStatistics::Look(const at::Tensor& x, std::span<const int64_t> ranges,
                            const Targets& targets) const {
  assert(x.dim() == 2 && (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat));
  const c10::DeviceGuard current(x.device());
  const at::Tensor rows = Packed(x);
  const void* values = rows.data_ptr();
  auto columns = static_cast<long long>(x.size(1));
  auto* amax = Place<float>(targets.amax, 0);
  auto* channel_amax = Place<float>(targets.channel_amax, 0);
  const char* name = x.scalar_type() == at::kFloat ? "look_at_f32" : "look_at_bf16";
  long long begin = 0;
  for (size_t first = 0; first < ranges.size(); first += kLookRanges) {
    const auto some = ranges.subspan(first, std::min<size_t>(kLookRanges, ranges.size() - first));
    Ranges these;
    these.begin[0] = begin;
    for (size_t i = 0; i < some.size(); ++i) these.begin[i + 1] = begin += some[i];
    auto* squares = Place<double>(targets.squares, static_cast<int64_t>(first));
    auto* triangles = Place<float>(targets.triangles, static_cast<int64_t>(first));
    kernels_->Launch(name,
                     {.x = static_cast<unsigned>(CeilDivide(int64_t{columns}, kLookColumns)),
                      .y = static_cast<unsigned>(some.size()),
                      .threads = kLookThreads},
                     {&values, &these, &columns, &amax, &channel_amax, &squares, &triangles});
  }
  assert(begin == x.size(0));
}

void DeviceStatistics::AddParts(const at::Tensor& parts, const at::Tensor& sums) const {
  assert(sums.scalar_type() == at::kDouble || sums.scalar_type() == at::kFloat);
  assert(parts.dim() == 2 && parts.is_contiguous() && parts.size(1) == sums.numel());
  const c10::DeviceGuard current(sums.device());
  void* into = sums.data_ptr();
  const void* from = parts.data_ptr();
  auto count = static_cast<long long>(sums.numel());
  auto ranges = static_cast<int>(parts.size(0));
  kernels_->Launch(sums.scalar_type() == at::kDouble ? "add_parts_f64" : "add_parts_f32",
                   {.x = static_cast<unsigned>(CeilDivide(int64_t{count}, int64_t{kPartThreads})),
                    .threads = kPartThreads},
                   {&into, &from, &count, &ranges});
}

}  // namespace vernier::calib
