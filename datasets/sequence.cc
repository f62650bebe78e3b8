#include "datasets/sequence.h"

namespace vernier::datasets {
namespace {

constexpr int kMaxDepth = 16;

void Flatten(const JsonPart& part, std::string_view list, int depth, std::vector<JsonPart>& out) {
  if (part.Text("type") != "Sequence") {
    out.push_back(part);
    return;
  }
  if (depth == kMaxDepth) part.RefuseUnsupported("so deep a nesting of sequences");
  for (const JsonPart& element : part.Elements(list)) Flatten(element, list, depth + 1, out);
}

}  // namespace

std::vector<JsonPart> FlattenSequence(const JsonPart& part, std::string_view list) {
  std::vector<JsonPart> steps;
  Flatten(part, list, 0, steps);
  return steps;
}

}  // namespace vernier::datasets
