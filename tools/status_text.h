// The status of a run, for people and for programs.
#ifndef VERNIER_TOOLS_STATUS_TEXT_H_
#define VERNIER_TOOLS_STATUS_TEXT_H_

#include <string>

#include "base/json.h"
#include "run/run_status.h"

namespace vernier::tools {

// Lines of a label and its text; the last one begins with "continue".
std::string StatusText(const run::RunStatus& status);

// {"run_dir", "process", "calibration", "exports", "phases", "non_finite", "files", "command",
// "left", "continue"}; what there is nothing to say about is null or empty.
Json StatusJson(const run::RunStatus& status);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_STATUS_TEXT_H_
