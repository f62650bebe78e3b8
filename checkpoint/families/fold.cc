#include "checkpoint/families/fold.h"

#include <utility>

#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {
namespace {

size_t IndexOf(const ModelLayout& layout, const LogicalWeight* weight) {
  return static_cast<size_t>(weight - layout.weights.data());
}

}  // namespace

std::string_view FoldKindName(FoldKind kind) {
  switch (kind) {
    case FoldKind::kNorm:
      return "norm";
    case FoldKind::kValue:
      return "value";
    case FoldKind::kUp:
      return "up";
  }
  return "";
}

void AddFold(const ModelLayout& layout, Fold fold, const std::string& producer,
             const std::vector<std::string>& consumers, std::vector<Fold>& folds) {
  const LogicalWeight* made_by = layout.FindModule(producer);
  if (made_by == nullptr || made_by->rows() != fold.channels) return;
  fold.name = producer;
  fold.layer = made_by->layer;
  fold.producers.push_back(IndexOf(layout, made_by));
  const LogicalWeight* bias = layout.FindName(producer + ".bias");
  if (bias != nullptr) fold.producers.push_back(IndexOf(layout, bias));
  for (const std::string& module : consumers) {
    const LogicalWeight* consumer = layout.FindModule(module);
    if (consumer == nullptr || consumer->columns() != fold.columns()) return;
    fold.consumers.push_back(IndexOf(layout, consumer));
  }
  folds.push_back(std::move(fold));
}

}  // namespace vernier::checkpoint
