#include "base/json_entries.h"

#include <fstream>
#include <string>

#include "base/error.h"
#include "base/json_error.h"

namespace vernier {
namespace {

// Hands on the entries of arrays one level below the top, and tells the parser to drop them.
class EntryVisitor {
 public:
  using Visit = std::function<void(std::string_view, const Json&)>;

  EntryVisitor(std::string_view origin, const Visit& visit) : origin_(origin), visit_(visit) {}

  // nlohmann's parser callback: whether to keep what was parsed.
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (depth > kMaxJsonDepth) ThrowJsonTooDeep(origin_);
    if (depth == kFieldDepth && event == Event::key) field_ = parsed.get<std::string>();
    if (depth == kFieldDepth && event == Event::array_start) in_array_ = true;
    if (depth == kFieldDepth && event == Event::array_end) in_array_ = false;
    const bool ends =
        event == Event::object_end || event == Event::array_end || event == Event::value;
    if (!in_array_ || depth != kEntryDepth || !ends) return true;
    visit_(field_, parsed);
    return false;
  }

 private:
  static constexpr int kFieldDepth = 1;
  static constexpr int kEntryDepth = 2;

  std::string_view origin_;
  const Visit& visit_;
  std::string field_;
  bool in_array_ = false;
};

}  // namespace

void ForEachArrayEntry(
    const std::filesystem::path& path,
    const std::function<void(std::string_view field, const Json& entry)>& visit) {
  const std::string origin = path.string();
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kFileOpen, origin, "cannot be opened", "Check the path");
  EntryVisitor visitor(origin, visit);
  try {
    const Json rest = Json::parse(file, std::ref(visitor));
    if (!rest.is_object()) {
      throw Error(ErrorCode::kBadJson, origin, "is no JSON object", "Correct the file");
    }
  } catch (const nlohmann::json::exception& error) {
    ThrowBadJson(origin, error);
  }
}

}  // namespace vernier
