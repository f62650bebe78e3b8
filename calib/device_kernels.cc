#include "calib/device_kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstddef>
#include <utility>

#include "base/error.h"
#include "calib/device_index.h"

namespace vernier::calib {
namespace {

// Functions of NVRTC and of the CUDA driver by their documented signatures; 0 is success.
struct CudaFunctions {
  int (*nvrtcCreateProgram)(void** program, const char* source, const char* name, int headers,
                            const char* const* contents, const char* const* names) = nullptr;
  int (*nvrtcCompileProgram)(void* program, int options, const char* const* texts) = nullptr;
  int (*nvrtcGetPTXSize)(void* program, size_t* size) = nullptr;
  int (*nvrtcGetPTX)(void* program, char* ptx) = nullptr;
  int (*nvrtcDestroyProgram)(void** program) = nullptr;
  int (*cuCtxGetDevice)(int* device) = nullptr;
  int (*cuDeviceGetAttribute)(int* value, int attribute, int device) = nullptr;
  int (*cuModuleLoadData)(void** module, const void* image) = nullptr;
  int (*cuModuleGetFunction)(void** function, void* module, const char* name) = nullptr;
  int (*cuModuleUnload)(void* module) = nullptr;
  int (*cuLaunchKernel)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        void* stream, void** arguments, void** extra) = nullptr;
};

// libtorch's own door to the run-time compiler and the driver, which brings both along.
constexpr const char* kLibrary = "libcaffe2_nvrtc.so";

template <class Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool FindAll(void* library, CudaFunctions& f) {
  return Find(library, "nvrtcCreateProgram", f.nvrtcCreateProgram) &&
         Find(library, "nvrtcCompileProgram", f.nvrtcCompileProgram) &&
         Find(library, "nvrtcGetPTXSize", f.nvrtcGetPTXSize) &&
         Find(library, "nvrtcGetPTX", f.nvrtcGetPTX) &&
         Find(library, "nvrtcDestroyProgram", f.nvrtcDestroyProgram) &&
         Find(library, "cuCtxGetDevice", f.cuCtxGetDevice) &&
         Find(library, "cuDeviceGetAttribute", f.cuDeviceGetAttribute) &&
         Find(library, "cuModuleLoadData", f.cuModuleLoadData) &&
         Find(library, "cuModuleGetFunction", f.cuModuleGetFunction) &&
         Find(library, "cuModuleUnload", f.cuModuleUnload) &&
         Find(library, "cuLaunchKernel", f.cuLaunchKernel);
}

// "--gpu-architecture=compute_90": of the device that is current. Empty: there is none.
std::string Architecture(const CudaFunctions& f) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
  int device = 0, major = 0, minor = 0;
  if (f.cuCtxGetDevice(&device) != 0 || f.cuDeviceGetAttribute(&major, kMajor, device) != 0 ||
      f.cuDeviceGetAttribute(&minor, kMinor, device) != 0) {
    return {};
  }
  return fmt::format("--gpu-architecture=compute_{}{}", major, minor);
}

// Empty where it does not compile. Products and sums stay apart: sources say where they are fused.
std::string CompileToPtx(const CudaFunctions& f, const std::string& source,
                         const std::string& architecture) {
  void* program = nullptr;
  if (f.nvrtcCreateProgram(&program, source.c_str(), "kernels.cu", 0, nullptr, nullptr) != 0) {
    return {};
  }
  const char* options[] = {architecture.c_str(), "--fmad=false"};
  std::string ptx;
  size_t size = 0;
  if (f.nvrtcCompileProgram(program, 2, options) == 0 && f.nvrtcGetPTXSize(program, &size) == 0) {
    ptx.resize(size);
    if (f.nvrtcGetPTX(program, ptx.data()) != 0) ptx.clear();
  }
  f.nvrtcDestroyProgram(&program);
  return ptx;
}

constexpr int kOutOfMemory = 2;  // CUDA_ERROR_OUT_OF_MEMORY

[[noreturn]] void ThrowNoRoom(const char* what) {
  throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__},
                              fmt::format("CUDA out of memory. There is no room for {}.", what));
}

bool IsOnDefaultStream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return guard.getStream(device) == guard.getDefaultStream(device);
}

class CompiledKernels final : public DeviceKernels {
 public:
  // Takes over `module`.
  CompiledKernels(const CudaFunctions& functions, void* module) : f_(functions), module_(module) {}
  ~CompiledKernels() override { f_.cuModuleUnload(module_); }
  CompiledKernels(const CompiledKernels&) = delete;
  CompiledKernels& operator=(const CompiledKernels&) = delete;

  void Launch(const char* name, Grid grid, std::vector<void*> arguments) const override {
    void* function = nullptr;
    int failure = Find(name, function);
    if (failure == 0) {
      failure = f_.cuLaunchKernel(function, grid.x, grid.y, 1, grid.threads, 1, 1,
                                  /*shared_bytes=*/0, /*stream=*/nullptr, arguments.data(),
                                  /*extra=*/nullptr);
    }
    if (failure == 0) return;
    if (failure == kOutOfMemory) ThrowNoRoom(name);
    throw Error(ErrorCode::kBadDevice, name,
                fmt::format("the CUDA driver refused the kernel with error {}", failure),
                "Start again: the same command goes on; report it if it comes back");
  }

 private:
  int Find(const char* name, void*& function) const {
    const std::lock_guard lock(mutex_);
    void*& known = known_[name];
    const int failure = known == nullptr ? f_.cuModuleGetFunction(&known, module_, name) : 0;
    function = known;
    return failure;
  }

  CudaFunctions f_;
  void* module_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, void*> known_;  // functions by name
};

}  // namespace

std::unique_ptr<DeviceKernels> DeviceKernels::Compile(const std::string& source,
                                                      std::string& problem) {
  void* library = dlopen(kLibrary, RTLD_NOW);  // stays, as libtorch's does
  CudaFunctions f;
  if (library == nullptr || !FindAll(library, f)) {
    problem = fmt::format("{} does not give NVRTC and the CUDA driver", kLibrary);
    return nullptr;
  }
  const std::string architecture = Architecture(f);
  const std::string ptx = architecture.empty() ? "" : CompileToPtx(f, source, architecture);
  if (ptx.empty()) {
    problem = fmt::format("NVRTC refused a kernel ({})", architecture);
    return nullptr;
  }
  void* module = nullptr;
  const int failure = f.cuModuleLoadData(&module, ptx.data());
  if (failure == kOutOfMemory) ThrowNoRoom("kernels");
  if (failure != 0) {
    problem = fmt::format("the CUDA driver refused kernels with error {}", failure);
    return nullptr;
  }
  return std::make_unique<CompiledKernels>(f, module);
}

at::Tensor Packed(const at::Tensor& x) {
  constexpr uintptr_t kFour = 4;
  const at::Tensor packed = x.contiguous();
  const auto address = reinterpret_cast<uintptr_t>(packed.data_ptr());
  return address % (kFour * packed.element_size()) == 0 ? packed : packed.clone();
}

const KernelsOfSource::Made& KernelsOfSource::Of(at::Device device) {
  const std::lock_guard lock(mutex_);
  const auto known = made_.find(device.index());
  if (known != made_.end()) return known->second;
  const c10::DeviceGuard current(device);
  at::empty({1}, at::TensorOptions().device(device));  // it is in use then
  Made made;
  made.kernels = DeviceKernels::Compile(source_, made.problem);
  return made_.emplace(device.index(), std::move(made)).first->second;
}

const DeviceKernels* KernelsOfSource::Find(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  const at::Device indexed = WithIndex(device);
  return IsOnDefaultStream(indexed) ? Of(indexed).kernels.get() : nullptr;
}

std::string KernelsOfSource::ProblemOf(at::Device device) {
  return device.is_cuda() ? Of(WithIndex(device)).problem : std::string();
}

}  // namespace vernier::calib
