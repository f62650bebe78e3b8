// What of a checkpoint no engine is expected to build anything of.
#ifndef VERNIER_AUDIT_UNCLAIMED_H_
#define VERNIER_AUDIT_UNCLAIMED_H_

#include <string>
#include <vector>

#include "audit/subject.h"

namespace vernier::audit {

// Tensors of two or more dimensions that are part of no module that engines build, and neither an
// embedding, a convolution nor anything else that the model's family or their names explain: what
// the audit has not looked at. In the order of the checkpoint.
std::vector<std::string> UnclaimedMatrices(const Subject& subject);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_UNCLAIMED_H_
