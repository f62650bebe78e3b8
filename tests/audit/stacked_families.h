// A family for each form that stacks of experts have, in the program of these tests only.
#ifndef VERNIER_TESTS_AUDIT_STACKED_FAMILIES_H_
#define VERNIER_TESTS_AUDIT_STACKED_FAMILIES_H_

#include <string_view>

#include "tests/support/stacked_model.h"

namespace vernier::testing {

// The model_type of Qwen3-MoE whose stacks have this form.
std::string_view StackedModelType(const StackForm& form);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_AUDIT_STACKED_FAMILIES_H_
