// Which directories an export may write into.
#ifndef VERNIER_EXPORT_OUTPUT_DIRECTORY_H_
#define VERNIER_EXPORT_OUTPUT_DIRECTORY_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace vernier::exporter {

inline constexpr std::string_view kManifestFileName = "vernier_manifest.json";

// How every manifest, finished or not, begins: by it a directory is recognised.
std::string ManifestOpening(std::string_view plan_hash);

// Creates `output` and marks it, durably, as this plan's: an unfinished manifest that only holds
// its opening. A directory that is not empty is accepted only when it is marked so, holds this
// plan's manifest, or `has_records` says that the store knows shards of this plan in it; otherwise
// kOutputExists.
void ClaimOutputDirectory(const std::filesystem::path& output, const std::string& plan_hash,
                          bool has_records);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_OUTPUT_DIRECTORY_H_
