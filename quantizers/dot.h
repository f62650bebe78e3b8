// Products of an F32 vector with rows of F32 or BF16, as they are: for vectors so few that making
// the rows ready for a faster product would take longer than this one.
#ifndef VERNIER_QUANTIZERS_DOT_H_
#define VERNIER_QUANTIZERS_DOT_H_

#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

// `rows` holds products.size() rows of x.size() values. products[i] is reference::Dot
// (dot_reference.h) of x and row i, bit for bit.
void MultiplyRows(std::span<const float> x, RealSpan rows, std::span<float> products);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_DOT_H_
