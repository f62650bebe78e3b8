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

// kOutputExists when `output` is `source` or lies inside it: the source would no longer be what was
// read, and its own files would be copied again and again.
void RequireOutsideSource(const std::filesystem::path& output, const std::filesystem::path& source);

// Creates `output`, durably. kOutputExists when it is no directory, or not outside the source.
void CreateOutputDirectory(const std::filesystem::path& output,
                           const std::filesystem::path& source);

// Marks the existing directory `output`, durably, as this plan's: an unfinished manifest that only
// holds its opening. A directory that is not empty is accepted only when
// - it is marked so, or holds this plan's manifest;
// - it holds the mark of another plan of which nothing was finished: that plan's files are removed.
// Otherwise kOutputExists. The caller holds the directory's lock.
void ClaimOutputDirectory(const std::filesystem::path& output, const std::string& plan_hash);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_OUTPUT_DIRECTORY_H_
