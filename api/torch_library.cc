#include "api/torch_library.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "base/error.h"

namespace vernier::api {
namespace {

using RunFunction = decltype(&vernier_run_job);

constexpr const char* kRunFunction = "vernier_torch_run_job";

// Where this library lies.
std::filesystem::path OwnFolder() {
  Dl_info info = {};
  dladdr(reinterpret_cast<const void*>(&OwnFolder), &info);
  return std::filesystem::path(info.dli_fname).parent_path();
}

RunFunction Load() {
  const std::filesystem::path path = OwnFolder() / VERNIER_TORCH_LIBRARY;
  // Never closed: libtorch does not bear it.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* function = library == nullptr ? nullptr : dlsym(library, kRunFunction);
  if (function != nullptr) return reinterpret_cast<RunFunction>(function);
  throw Error(ErrorCode::kNoTorch, path.string(),
              std::filesystem::exists(path)
                  ? std::string("cannot be loaded: ") + dlerror()
                  : "running a model needs this library, which is not there",
              "Install a build with libtorch, as docs/install.md says");
}

}  // namespace

vernier_status RunInTorchLibrary(const JobCall& call) {
  static const RunFunction run = Load();
  return run(call.job, call.specification, call.progress, call.user, call.summary, call.error);
}

}  // namespace vernier::api
