// The result of `vernier layertest` for people and for programs.
#ifndef VERNIER_TOOLS_LAYERTEST_REPORT_H_
#define VERNIER_TOOLS_LAYERTEST_REPORT_H_

#include <string>

#include "base/json.h"
#include "calib/layertest/result.h"

namespace vernier::tools {

// The object that docs/layertest.md describes.
Json LayerTestJson(const calib::LayerTestResult& result);

// A table of stages in the order of the forward pass, routed experts as mean and worst, and a
// sentence on what dominates.
std::string LayerTestText(const calib::LayerTestResult& result);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_LAYERTEST_REPORT_H_
