#include "jobs/build_info.h"

#include "jobs/commit.h"
#include "quantizers/simd_targets.h"

namespace vernier::jobs {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

const char* Version() { return VERNIER_VERSION; }

BuildInfo ReadBuildInfo() {
  BuildInfo info{.version = Version(),
                 .commit = kCommit,
                 .modified = kModified,
                 .libtorch = VERNIER_LIBTORCH_VERSION,
                 .simd_targets = {},
                 .simd_target = quantizers::SimdTargetName(quantizers::SimdTargets().front()),
                 .compiler = kCompiler};
  for (const int64_t target : quantizers::CompiledSimdTargets()) {
    info.simd_targets.push_back(quantizers::SimdTargetName(target));
  }
  return info;
}

Json BuildJson() {
  const BuildInfo info = ReadBuildInfo();
  return {{"version", info.version},           {"commit", TextOrNull(info.commit)},
          {"modified", info.modified},         {"libtorch", TextOrNull(info.libtorch)},
          {"simd_targets", info.simd_targets}, {"simd_target", info.simd_target},
          {"compiler", info.compiler}};
}

}  // namespace vernier::jobs
