// A random generator whose whole output, bounded integers and permutations included, is defined
// here and not by the standard library, so that one seed gives the same samples on every platform.
#ifndef VERNIER_DATASETS_SEEDED_RANDOM_H_
#define VERNIER_DATASETS_SEEDED_RANDOM_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vernier::datasets {

// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }

  // Uniform in [0, bound), without bias; bound > 0.
  uint64_t Below(uint64_t bound) {
    assert(bound > 0);
    // 2^64 mod bound: so many of the smallest values are one too many for equal shares.
    const uint64_t surplus = (0 - bound) % bound;
    uint64_t value = Next();
    while (value < surplus) value = Next();
    return value % bound;
  }

  // Fisher-Yates; every permutation is equally likely.
  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t left = items.size(); left > 1; --left) {
      std::swap(items[left - 1], items[Below(left)]);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SEEDED_RANDOM_H_
