// The source tree as tests of its structure see it: rooms, sources, includes.
#ifndef VERNIER_TESTS_ARCHITECTURE_ROOMS_H_
#define VERNIER_TESTS_ARCHITECTURE_ROOMS_H_

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace vernier::testing {

std::filesystem::path SourceRoot();

// Which rooms' headers a room may include besides its own. A room's name is a folder, which may lie
// in another room.
const std::map<std::string, std::set<std::string>>& MayKnow();

std::string RoomOf(const std::string& path);

// Of all rooms, as paths from the root.
std::vector<std::string> AllSources();

std::string TextOf(const std::string& source);
std::vector<std::string> IncludesOf(const std::string& source);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_ARCHITECTURE_ROOMS_H_
