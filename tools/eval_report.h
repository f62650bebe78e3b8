// The result of `vernier eval` for people and for programs.
#ifndef VERNIER_TOOLS_EVAL_REPORT_H_
#define VERNIER_TOOLS_EVAL_REPORT_H_

#include <string>

#include "base/json.h"
#include "tools/eval_steps.h"

namespace vernier::tools {

// The object that docs/eval.md describes.
Json EvalJson(const EvalReport& report);

// The protocol, a table of perplexities and, with a reference, one of divergences; then what of the
// activations is emulated.
std::string EvalText(const EvalReport& report);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_EVAL_REPORT_H_
