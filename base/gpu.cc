#include "base/gpu.h"

#include <dlfcn.h>

#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace vernier {
namespace {

struct Utilisation {  // nvmlUtilization_t: percent
  unsigned int gpu = 0, memory = 0;
};

template <class Function>
bool Lookup(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  return function != nullptr;
}

// The functions of libnvidia-ml.so.1 that are used here. All return 0 for success.
class Nvml {
 public:
  // Null where there is none, or where it does not start.
  static const Nvml* Get() {
    static const Nvml nvml;
    return nvml.works_ ? &nvml : nullptr;
  }

  int (*handle_by_bus)(const char* bus, void** handle) = nullptr;
  int (*name)(void* handle, char* name, unsigned int size) = nullptr;
  int (*utilisation)(void* handle, Utilisation* use) = nullptr;

 private:
  // The library stays open as long as the process.
  Nvml() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    int (*init)() = nullptr;
    works_ = library != nullptr && Lookup(library, "nvmlInit_v2", init) &&
             Lookup(library, "nvmlDeviceGetHandleByPciBusId_v2", handle_by_bus) &&
             Lookup(library, "nvmlDeviceGetName", name) &&
             Lookup(library, "nvmlDeviceGetUtilizationRates", utilisation) && init() == 0;
  }

  bool works_ = false;
};

// Where it sits, of the CUDA runtime in this process: that one's numbers depend on the environment
// (CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER) and are not the driver's.
std::optional<std::string> BusAddress(int cuda_index) {
  int (*bus_of)(char* address, int size, int device) = nullptr;
  if (!Lookup(RTLD_DEFAULT, "cudaDeviceGetPCIBusId", bus_of)) return std::nullopt;
  std::array<char, 64> address{};
  if (bus_of(address.data(), static_cast<int>(address.size()), cuda_index) != 0) {
    return std::nullopt;
  }
  return std::string(address.data());
}

}  // namespace

std::optional<int> CudaIndex(std::string_view device) {
  constexpr std::string_view kCuda = "cuda";
  if (!device.starts_with(kCuda)) return std::nullopt;
  device.remove_prefix(kCuda.size());
  if (device.empty()) return 0;
  int index = 0;
  const char* end = device.data() + device.size();
  const auto [rest, error] = std::from_chars(device.data() + 1, end, index);
  if (device.front() != ':' || error != std::errc() || rest != end) return std::nullopt;
  return index;
}

std::optional<Gpu> Gpu::Find(std::string_view device) {
  const std::optional<int> index = CudaIndex(device);
  if (!index) return std::nullopt;
  const std::optional<std::string> address = BusAddress(*index);
  const Nvml* nvml = address ? Nvml::Get() : nullptr;
  void* handle = nullptr;
  if (nvml == nullptr || nvml->handle_by_bus(address->c_str(), &handle) != 0) return std::nullopt;
  std::array<char, 96> name{};  // NVML_DEVICE_NAME_V2_BUFFER_SIZE
  if (nvml->name(handle, name.data(), name.size()) != 0) return std::nullopt;
  return Gpu(handle, name.data());
}

std::optional<double> Gpu::Busy() const {
  constexpr double kPercent = 100;
  Utilisation use;
  if (Nvml::Get()->utilisation(handle_, &use) != 0) return std::nullopt;
  return use.gpu / kPercent;
}

GpuMeter::GpuMeter(const Gpu& gpu) : GpuMeter(gpu.name(), [gpu] { return gpu.Busy(); }) {}

GpuMeter::GpuMeter(std::string name, Busy busy)
    : name_(std::move(name)), busy_(std::move(busy)), thread_([this] { Sample(); }) {}

GpuMeter::~GpuMeter() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
  thread_.join();
}

void GpuMeter::Sample() {
  constexpr std::chrono::milliseconds kInterval(100);
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kInterval, [this] { return stop_; })) {
    const std::optional<double> busy = busy_();
    if (!busy) continue;
    sum_ += *busy;
    ++samples_;
  }
}

std::optional<GpuUse> GpuMeter::Use() const {
  const std::scoped_lock lock(mutex_);
  if (samples_ == 0) return std::nullopt;
  return GpuUse{.name = name_, .busy = sum_ / static_cast<double>(samples_)};
}

}  // namespace vernier
