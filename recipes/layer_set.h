// Some of a model's decoder layers, whatever their number.
#ifndef VERNIER_RECIPES_LAYER_SET_H_
#define VERNIER_RECIPES_LAYER_SET_H_

#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::recipes {

struct ValueSource;

class LayerSet {
 public:
  // Of a list such as [[0, 3], -1]: layers by number and from one to another, negative numbers from
  // the end. The schema allows it. Errors: a range that ends before it begins.
  static LayerSet Parse(const Json& list, const ValueSource& source);

  bool empty() const { return ranges_.empty(); }
  // Whether it has `layer` of a model with so many. -1, a weight of no layer, is in none.
  bool Contains(int layer, int layers) const;
  std::string Text() const;  // "0 to 3, -1"

 private:
  struct Range {
    int first, last;
  };

  std::vector<Range> ranges_;
};

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_LAYER_SET_H_
