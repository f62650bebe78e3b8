#include "tests/architecture/rooms.h"

#include <regex>

#include "base/file.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

bool IsSource(const fs::path& path) {
  return path.extension() == ".cc" || path.extension() == ".h";
}

std::vector<std::string> SourcesOf(const std::string& folder) {
  std::vector<std::string> sources;
  for (const auto& entry : fs::recursive_directory_iterator(SourceRoot() / folder)) {
    if (!IsSource(entry.path())) continue;
    sources.push_back(fs::relative(entry.path(), SourceRoot()).string());
  }
  return sources;
}

}  // namespace

fs::path SourceRoot() { return VERNIER_SOURCE_DIR; }

const std::map<std::string, std::set<std::string>>& MayKnow() {
  static const std::map<std::string, std::set<std::string>> rooms = {
      {"base", {}},
      {"quantizers", {}},
      {"checkpoint", {"base", "quantizers"}},
      {"dialects", {"base", "quantizers", "checkpoint"}},
      {"datasets", {"base"}},
      {"recipes", {"base", "checkpoint", "datasets", "dialects"}},
      {"calib/statistics", {"base"}},
      {"run", {"base", "checkpoint", "recipes", "datasets", "calib/statistics"}},
      {"calib/budget", {"base", "checkpoint", "recipes", "datasets", "run", "calib/statistics"}},
      {"calib",
       {"base", "quantizers", "checkpoint", "recipes", "datasets", "run", "calib/budget",
        "calib/statistics"}},
      {"export",
       {"base", "quantizers", "checkpoint", "dialects", "recipes", "run", "calib/statistics"}},
      {"audit", {"base", "quantizers", "checkpoint", "recipes"}},
      {"report", {"base", "checkpoint", "recipes", "run", "audit"}},
      {"jobs",
       {"base", "quantizers", "checkpoint", "datasets", "recipes", "calib", "calib/budget", "run",
        "export", "audit", "report"}},
      {"api", {"base", "jobs"}},
      {"tools",
       {"base", "quantizers", "checkpoint", "datasets", "recipes", "calib", "calib/budget", "run",
        "export", "audit", "report", "jobs"}},
  };
  return rooms;
}

std::string RoomOf(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  for (std::string room = folder; !room.empty(); room = fs::path(room).parent_path().string()) {
    if (MayKnow().contains(room)) return room;
  }
  return path.substr(0, path.find('/'));
}

std::vector<std::string> AllSources() {
  std::vector<std::string> all;
  for (const auto& [room, known] : MayKnow()) {
    for (std::string& source : SourcesOf(room)) {
      if (RoomOf(source) == room) all.push_back(std::move(source));
    }
  }
  return all;
}

std::string TextOf(const std::string& source) { return ReadWholeFile(SourceRoot() / source); }

std::vector<std::string> IncludesOf(const std::string& source) {
  const std::string text = TextOf(source);
  static const std::regex kInclude("(?:^|\n)#include [\"<]([^\">]+)[\">]");
  std::vector<std::string> includes;
  for (std::sregex_iterator it(text.begin(), text.end(), kInclude), end; it != end; ++it) {
    includes.push_back((*it)[1]);
  }
  return includes;
}

}  // namespace vernier::testing
