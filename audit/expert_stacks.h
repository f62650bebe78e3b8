// The same experts stored both ways: all of a layer in one tensor, and each on its own.
#ifndef VERNIER_AUDIT_EXPERT_STACKS_H_
#define VERNIER_AUDIT_EXPERT_STACKS_H_

#include <cstddef>
#include <vector>

#include "audit/subject.h"

namespace vernier::audit {

// The modules of `unstacked` that hold, expert by expert, what `stack` holds of all of them: for
// "mlp.experts.gate_up_proj" [E, ...] the "mlp.experts.N.gate_proj" and "...up_proj" of N in
// 0..E-1, for "mlp.experts.gate_up_proj_bias" their biases. Empty when `stack` is none, any is
// missing, or they have not as many values together as the stack.
std::vector<size_t> SlicesOf(const Module& stack, const Subject& stacked, const Subject& unstacked);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_EXPERT_STACKS_H_
