// The half of a statistic that works on tensors.
#ifndef VERNIER_CALIB_OBSERVER_H_
#define VERNIER_CALIB_OBSERVER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "calib/block_hessians.h"
#include "calib/block_shares.h"
#include "calib/device_statistics.h"
#include "calib/hessians.h"
#include "calib/square_sums.h"
#include "calib/statistics/registry.h"

namespace vernier::calib {

// A statistic with what it does to tensors, on their device: either Observe and Join, or, of a sum,
// `add`.
struct Observer {
  statistics::Statistic statistic;
  at::ScalarType element = at::kFloat;  // of its payload
  // `x` [rows, K], rows > 0 -> the elements of their value, flat.
  at::Tensor (*observe)(const at::Tensor& x) = nullptr;
  // Two of those as one.
  at::Tensor (*join)(const at::Tensor& a, const at::Tensor& b) = nullptr;
  // Adds x [rows, K], tokens from number `first` on, to `sums`, of statistic.elements(K) flat. A
  // value that is not finite shows in the largest magnitude of the same rows.
  void (*add)(const at::Tensor& x, int64_t first, const at::Tensor& sums) = nullptr;
  // Whether a sequence's rows must come in one call, because sums differ with those of a call.
  bool whole_sequences = false;
  // What else makes it on a device that can.
  OneLook one_look = OneLook::kNo;
};

template <class S>
inline constexpr OneLook kOneLook = OneLook::kNo;
template <>
inline constexpr OneLook kOneLook<statistics::InputAmax> = OneLook::kAmax;
template <>
inline constexpr OneLook kOneLook<statistics::CacheAmax> = OneLook::kAmax;
template <>
inline constexpr OneLook kOneLook<statistics::InputChannelAmax> = OneLook::kChannelAmax;

template <statistics::IsStatistic S>
Observer MakeObserver() {
  return {.statistic = statistics::Describe<S>(),
          .element = c10::CppTypeToScalarType<typename S::Element>::value,
          .observe =
              [](const at::Tensor& x) {
                const bool widen = S::kPrecision == statistics::Precision::kF32;
                return S::Observe(widen ? x.to(at::kFloat) : x).flatten();
              },
          .join = [](const at::Tensor& a, const at::Tensor& b) { return S::Join(a, b); },
          .one_look = kOneLook<S>};
}

// Of shares (calib/block_shares.h).
template <>
inline Observer MakeObserver<statistics::BlockShare>() {
  return {.statistic = statistics::Describe<statistics::BlockShare>(),
          .element = at::kLong,
          .observe = [](const at::Tensor& x) { return SumOfShares(x).flatten(); },
          .join = [](const at::Tensor& a, const at::Tensor& b) { return a + b; }};
}

template <>
inline Observer MakeObserver<statistics::InputSquareSum>() {
  return {.statistic = statistics::Describe<statistics::InputSquareSum>(),
          .element = at::kDouble,
          .add = [](const at::Tensor& x, int64_t, const at::Tensor& sums) { AddSquares(x, sums); },
          .one_look = OneLook::kSquares};
}

template <>
inline Observer MakeObserver<statistics::InputBlockHessian>() {
  return {.statistic = statistics::Describe<statistics::InputBlockHessian>(),
          .element = at::kFloat,
          .add = [](const at::Tensor& x, int64_t,
                    const at::Tensor& sums) { AddBlockHessians(x, sums); },
          .one_look = OneLook::kBlockHessian};
}

template <>
inline Observer MakeObserver<statistics::InputHessian>() {
  return {.statistic = statistics::Describe<statistics::InputHessian>(),
          .element = at::kFloat,
          .add = AddHessian,
          .whole_sequences = true};
}

template <>
inline Observer MakeObserver<statistics::InputSample>() {
  return {.statistic = statistics::Describe<statistics::InputSample>(),
          .element = at::kFloat,
          .add = AddSample,
          .whole_sequences = true};
}

template <statistics::IsStatistic... S>
std::vector<Observer> MakeObservers(statistics::List<S...>) {
  return {MakeObserver<S>()...};
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_OBSERVER_H_
