// GGUF files of llama.cpp: its container says how each weight lies in them, and there is no
// configuration beside them.
#include "dialects/dialect.h"

namespace vernier::dialects {
namespace {

bool HasNoNames(const checkpoint::SourceModel& /*source*/,
                const checkpoint::LogicalWeight& /*weight*/) {
  return false;
}

// As ggml calls them.
std::string_view GgufFormatName(checkpoint::Format format) {
  if (format == checkpoint::formats::kNvfp4) return "NVFP4";
  if (format == checkpoint::formats::kMxfp4) return "MXFP4";
  if (format == checkpoint::formats::kQ8Zero) return "Q8_0";
  return {};
}

}  // namespace

constinit const Dialect kGguf = {.name = "gguf",
                                 .names = HasNoNames,
                                 .numbers_have_dimensions = true,
                                 .holds_kv_scales = false,
                                 .container = checkpoint::GgufContainer,
                                 .format_name = GgufFormatName,
                                 .missing_format = "llama.cpp has no tensors of it",
                                 .missing_format_remedy = "Use nvfp4, mxfp4 or q8_0"};

}  // namespace vernier::dialects
