// NVIDIA GPUs as the driver's own library knows them (NVML, API reference of NVIDIA's "GPU
// Deployment and Management"). It is opened when it is first asked for: nothing is linked, and
// where there is none there are no GPUs.
#ifndef VERNIER_BASE_GPU_H_
#define VERNIER_BASE_GPU_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace vernier {

// The number of a CUDA device by its name: 1 of "cuda:1", 0 of "cuda". Nothing of other names.
std::optional<int> CudaIndex(std::string_view device);

class Gpu {
 public:
  // The GPU that a CUDA program calls `device`: "cuda", "cuda:1". Nothing for other devices, and
  // where neither this process's CUDA runtime nor the driver can say which one it is.
  static std::optional<Gpu> Find(std::string_view device);

  const std::string& name() const { return name_; }  // "NVIDIA H200"
  // Share of the driver's last sampling period, a sixth of a second to a second, in which kernels
  // ran, whoever started them: 0 to 1. Nothing where the driver does not say.
  std::optional<double> Busy() const;

 private:
  Gpu(void* handle, std::string name) : handle_(handle), name_(std::move(name)) {}

  void* handle_;  // nvmlDevice_t
  std::string name_;
};

struct GpuUse {
  std::string name;
  double busy = 0;  // 0 to 1
};

// Asks ten times a second how busy a GPU is, from its construction on.
class GpuMeter {
 public:
  using Busy = std::function<std::optional<double>()>;

  explicit GpuMeter(const Gpu& gpu);
  // One of this name, which `busy` answers for on a thread of its own, as Gpu::Busy does.
  GpuMeter(std::string name, Busy busy);
  ~GpuMeter();
  GpuMeter(const GpuMeter&) = delete;
  GpuMeter& operator=(const GpuMeter&) = delete;

  // Nothing before the driver's first answer.
  std::optional<GpuUse> Use() const;

 private:
  void Sample();

  std::string name_;
  Busy busy_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  double sum_ = 0;
  int64_t samples_ = 0;
  std::thread thread_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_GPU_H_
