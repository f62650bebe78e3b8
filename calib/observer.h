// The half of a statistic that works on tensors.
#ifndef VERNIER_CALIB_OBSERVER_H_
#define VERNIER_CALIB_OBSERVER_H_

#include <ATen/ATen.h>

#include <vector>

#include "calib/statistics/registry.h"

namespace vernier::calib {

// A statistic with what its Observe and Join do to tensors, on their device.
struct Observer {
  statistics::Statistic statistic;
  at::ScalarType element = at::kFloat;  // of its payload
  // `x` [rows, K], rows > 0 -> the elements of their value, flat.
  at::Tensor (*observe)(const at::Tensor& x) = nullptr;
  // Two of those as one.
  at::Tensor (*join)(const at::Tensor& a, const at::Tensor& b) = nullptr;
};

template <statistics::IsStatistic S>
Observer MakeObserver() {
  return {.statistic = statistics::Describe<S>(),
          .element = c10::CppTypeToScalarType<typename S::Element>::value,
          .observe =
              [](const at::Tensor& x) {
                const bool widen = S::kPrecision == statistics::Precision::kF32;
                return S::Observe(widen ? x.to(at::kFloat) : x).flatten();
              },
          .join = [](const at::Tensor& a, const at::Tensor& b) { return S::Join(a, b); }};
}

template <statistics::IsStatistic... S>
std::vector<Observer> MakeObservers(statistics::List<S...>) {
  return {MakeObserver<S>()...};
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_OBSERVER_H_
