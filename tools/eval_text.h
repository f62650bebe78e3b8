// The result of `vernier eval` for people.
#ifndef VERNIER_TOOLS_EVAL_TEXT_H_
#define VERNIER_TOOLS_EVAL_TEXT_H_

#include <string>

#include "jobs/eval.h"

namespace vernier::tools {

// The protocol, a table of perplexities and, with a reference, one of divergences; then what of the
// activations is emulated.
std::string EvalText(const jobs::EvalSummary& summary);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_EVAL_TEXT_H_
