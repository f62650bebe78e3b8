// The result of `vernier layertest` for people.
#ifndef VERNIER_TOOLS_LAYERTEST_TEXT_H_
#define VERNIER_TOOLS_LAYERTEST_TEXT_H_

#include <string>

#include "calib/layertest/result.h"

namespace vernier::tools {

// A table of stages in the order of the forward pass, routed experts as mean and worst, and a
// sentence on what dominates.
std::string LayerTestText(const calib::LayerTestResult& result);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_LAYERTEST_TEXT_H_
