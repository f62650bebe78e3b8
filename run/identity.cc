#include "run/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json.h"
#include "run/sqlite.h"

namespace vernier::run {
const char kIdentityTable[] = R"sql(
CREATE TABLE identity (
  field TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
)sql";

namespace {

constexpr std::string_view kNothing = "(nothing)";
constexpr std::array<std::string_view, 3> kMayBeUnknown = {"tokens", "tokenizer", kMergedFrom};
// The device may change, and only a CPU has this.
constexpr std::array<std::string_view, 1> kMayBeUnsaid = {kProductsField};

// Values up to kShownWhole bytes are shown whole. Of longer ones a piece of kShownPiece bytes is
// shown, which begins at most kShownBefore bytes before the first one that differs.
constexpr size_t kShownWhole = 40;
constexpr size_t kShownPiece = 16;
constexpr size_t kShownBefore = 4;

const std::string* Find(const RunIdentity& identity, const std::string& field) {
  const auto it = identity.find(field);
  return it == identity.end() ? nullptr : &it->second;
}

bool SameValue(const std::string* a, const std::string* b) {
  return a == nullptr || b == nullptr ? a == b : *a == *b;
}

bool BeginsCharacter(const std::string& text, size_t at) {
  return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

// The piece of `value` that shows how it differs from `other`.
std::string Shorten(const std::string* value, const std::string* other) {
  if (value == nullptr) return std::string(kNothing);
  if (value->size() <= kShownWhole) return *value;
  size_t first = 0;
  if (other != nullptr) {
    const auto [mine, theirs] = std::ranges::mismatch(*value, *other);
    first = static_cast<size_t>(mine - value->begin());
  }
  size_t begin = first + kShownBefore < kShownPiece ? 0 : first - kShownBefore;
  size_t end = std::min(value->size(), begin + kShownPiece);
  while (!BeginsCharacter(*value, begin)) --begin;
  while (!BeginsCharacter(*value, end)) ++end;
  return fmt::format("{}{}{}", begin > 0 ? "..." : "", value->substr(begin, end - begin),
                     end < value->size() ? "..." : "");
}

// The values that a field of a merged store allows: those of its list, or the one that it has.
Json AllowedValues(const std::string* stored) {
  if (stored == nullptr) return Json::array({nullptr});
  Json list = Json::parse(*stored, nullptr, /*allow_exceptions=*/false);
  const auto is_value = [](const Json& value) { return value.is_string() || value.is_null(); };
  if (list.is_array() && list.size() > 1 && std::ranges::all_of(list, is_value)) return list;
  return Json::array({*stored});
}

bool Allows(const RunIdentity& identity, const std::string* stored, const std::string* now) {
  if (SameValue(stored, now)) return true;
  if (!identity.contains(std::string(kMergedFrom))) return false;
  const Json value = now == nullptr ? Json(nullptr) : Json(*now);
  return std::ranges::count(AllowedValues(stored), value) > 0;
}

}  // namespace

RunIdentity LoadIdentity(const Database& database) {
  RunIdentity identity;
  Statement rows = database.Prepare("SELECT field, value FROM identity");
  while (rows.Step()) identity.emplace(rows.Text(0), rows.Text(1));
  return identity;
}

void SaveIdentity(const Database& database, const RunIdentity& identity) {
  Statement insert = database.Prepare("INSERT INTO identity VALUES (?1, ?2)");
  for (const auto& [field, value] : identity) insert.Bind(1, field).Bind(2, value).Run();
}

std::vector<std::string> IdentityDifferences(const RunIdentity& stored, const RunIdentity& now,
                                             IdentitySides sides) {
  std::set<std::string> fields;
  for (const auto& [field, value] : stored) fields.insert(field);
  for (const auto& [field, value] : now) fields.insert(field);

  std::vector<std::string> differences;
  for (const std::string& field : fields) {
    const std::string* before = Find(stored, field);
    const std::string* after = Find(now, field);
    if (after == nullptr && std::ranges::count(kMayBeUnknown, field) > 0) continue;
    const bool unsaid = before == nullptr || after == nullptr;
    if (unsaid && std::ranges::count(kMayBeUnsaid, field) > 0) continue;
    if (Allows(stored, before, after)) continue;
    differences.push_back(fmt::format("{}: {} {}, {} {}", field, sides.stored,
                                      Shorten(before, after), sides.now, Shorten(after, before)));
  }
  return differences;
}

std::string MergeValues(const std::vector<const std::string*>& values) {
  const bool alike = std::ranges::all_of(
      values, [&](const std::string* value) { return SameValue(value, values.front()); });
  if (alike && values.front() != nullptr) return *values.front();
  std::set<Json> distinct;
  for (const std::string* value : values) {
    for (const Json& allowed : AllowedValues(value)) distinct.insert(allowed);
  }
  return Json(distinct).dump();
}

}  // namespace vernier::run
