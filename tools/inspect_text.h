// What a checkpoint holds, for people.
#ifndef VERNIER_TOOLS_INSPECT_TEXT_H_
#define VERNIER_TOOLS_INSPECT_TEXT_H_

#include <string>

#include "jobs/inspect.h"

namespace vernier::tools {

// Tables of roles and formats; long lists are cut.
std::string InspectText(const jobs::InspectReport& report);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_INSPECT_TEXT_H_
