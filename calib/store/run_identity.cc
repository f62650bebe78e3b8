#include "calib/store/run_identity.h"

#include "base/hash.h"

namespace vernier::calib {

RunIdentity PlanIdentity(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                         const recipes::Plan& plan) {
  Hasher observed;
  for (const std::string& module : plan.observed_modules) observed.Update(module + "\n");
  return {{"source", source.checkpoint.fingerprint()},
          {"calibration", recipes::CalibrationIdentity(recipe).dump()},
          {"observed_modules", observed.Hex()}};
}

}  // namespace vernier::calib
