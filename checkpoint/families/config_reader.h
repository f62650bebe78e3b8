// Reads fields of a config.json with checks.
#ifndef VERNIER_CHECKPOINT_FAMILIES_CONFIG_READER_H_
#define VERNIER_CHECKPOINT_FAMILIES_CONFIG_READER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace vernier::checkpoint {

// Bounds on what is enumerated tensor by tensor.
inline constexpr int64_t kMaxLayers = 10'000;
inline constexpr int64_t kMaxExperts = 100'000;
inline constexpr int64_t kMaxExpertsOfAllLayers = 100'000;

// An element of layer_types: attention to a window of tokens.
inline constexpr std::string_view kSlidingAttention = "sliding_attention";

// A view of one object of config.json; every failure is kBadConfig and names the field.
class ConfigReader {
 public:
  // Sizes beyond this are damage, and products of two of them still fit int64.
  static constexpr int64_t kMaxSize = int64_t{1} << 31;

  // `path` is put before field names in messages: "rope_scaling.".
  explicit ConfigReader(const Json& object, std::string path = {});

  // Whether the field is there, be it null.
  bool Has(std::string_view key) const { return object_->contains(key); }
  // The field, or nullptr when it is absent or null.
  const Json* Find(std::string_view key) const;
  const Json& Require(std::string_view key) const;

  int64_t Integer(std::string_view key, int64_t min = 1, int64_t max = kMaxSize) const;
  int64_t IntegerOr(std::string_view key, int64_t fallback, int64_t min = 1,
                    int64_t max = kMaxSize) const;
  // A finite number > 0, or >= 0 when `allow_zero`.
  double Number(std::string_view key, bool allow_zero = false) const;
  double NumberOr(std::string_view key, double fallback, bool allow_zero = false) const;
  bool Boolean(std::string_view key) const;
  bool BooleanOr(std::string_view key, bool fallback) const;

  // A field that has one legal value; absent is fine.
  void RequireValue(std::string_view key, const Json& value) const;

  [[noreturn]] void Fail(std::string_view key, const std::string& problem) const;

 private:
  const Json* object_;
  std::string path_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_CONFIG_READER_H_
