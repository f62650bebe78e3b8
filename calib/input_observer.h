// Records the amax of linear layers' inputs, reduced on the device.
#ifndef VERNIER_CALIB_INPUT_OBSERVER_H_
#define VERNIER_CALIB_INPUT_OBSERVER_H_

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/store/store.h"

namespace vernier::calib {

// Holds device state for one layer at a time: Snapshot empties it. Not thread-safe.
class InputObserver {
 public:
  // `modules`: whose inputs are wanted; all others are ignored at no cost.
  explicit InputObserver(std::span<const std::string> modules);

  bool Wants(std::string_view module) const;

  // `x` [..., K]: inputs that the linear layer `module` is about to see, one row a token (or a
  // token's group). Padding must have been left out. No rows: nothing happens.
  void Observe(std::string_view module, const at::Tensor& x);

  // Moves what was observed to the CPU, in module order, and forgets it. A NaN or infinite amax is
  // kBadActivation naming the module and layer.
  std::vector<InputAmax> Snapshot(int layer);

 private:
  struct Entry {
    at::Tensor amax;  // 0-d, on the device, dtype of the inputs
    int64_t tokens = 0;
  };
  std::set<std::string, std::less<>> wanted_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_INPUT_OBSERVER_H_
