// Which weights a rule is about, whatever it makes of them.
#ifndef VERNIER_RECIPES_RULE_SELECTOR_H_
#define VERNIER_RECIPES_RULE_SELECTOR_H_

#include "checkpoint/model_layout.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// By role, name and layer. Holds a reference to the rule.
class RuleSelector {
 public:
  RuleSelector(const checkpoint::ModelLayout& layout, const Rule& rule);

  bool operator()(const checkpoint::LogicalWeight& weight) const;

 private:
  const Rule& rule_;
  int layers_;  // of the model, where the rule names some
};

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RULE_SELECTOR_H_
