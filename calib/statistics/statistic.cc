#include "calib/statistics/statistic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "base/error.h"

namespace vernier::statistics {
namespace {

[[noreturn]] void Refuse(std::string_view origin, const std::string& problem) {
  throw Error(ErrorCode::kStoreCorrupt, origin, problem,
              "Restore the run directory, or calibrate again in another one");
}

std::optional<std::vector<int64_t>> FindShape(const Statistic& statistic, const Value& value) {
  if (value.payload.size() % statistic.element_bytes != 0) return std::nullopt;
  return statistic.shape(value.payload.size() / statistic.element_bytes);
}

}  // namespace

Value Parse(const Statistic& statistic, std::span<const std::byte> bytes, std::string_view origin) {
  if (bytes.size() >= kTokenBytes) {
    Value value = FromBytes(bytes);
    if (value.payload.empty() || FindShape(statistic, value)) return value;
  }
  Refuse(origin, fmt::format("a value of {} bytes is none of {}", bytes.size(), statistic.name));
}

std::vector<int64_t> ShapeOf(const Statistic& statistic, const Value& value) {
  const std::optional<std::vector<int64_t>> shape = FindShape(statistic, value);
  assert(shape);
  return *shape;
}

void Merge(const Statistic& statistic, Value& into, const Value& other, std::string_view origin) {
  into.tokens += other.tokens;
  if (other.payload.empty()) return;
  if (into.payload.empty()) {
    into.payload = other.payload;
    return;
  }
  if (into.payload.size() != other.payload.size()) {
    Refuse(origin, fmt::format("values of {} have {} and {} bytes", statistic.name,
                               into.payload.size(), other.payload.size()));
  }
  statistic.merge(into, other);
}

double RelativeChange(double a, double b) {
  return a == b ? 0 : std::abs(a - b) / std::max(std::abs(a), std::abs(b));
}

double Change(const Statistic& statistic, const Value& a, const Value& b) {
  if (a.payload.size() != b.payload.size()) return 1;
  return a.payload.empty() ? 0 : statistic.change(a, b);
}

}  // namespace vernier::statistics
