// Files of a run directory with values that are too large for a row of the store.
#ifndef VERNIER_RUN_VALUE_FILE_H_
#define VERNIER_RUN_VALUE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace vernier::run {

inline constexpr std::string_view kValueFileExtension = ".values";

// Where a value lies.
struct ValuePlace {
  std::string file;  // in the run directory
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string hash;  // XXH3-128 of the value
};

// Writes values into one file that is not there yet, "KIND-0007-K.values" of unit 7. It is durable
// when Finish has returned, and a row that names it may be committed only then.
class ValueFileWriter {
 public:
  ValueFileWriter(std::filesystem::path run_dir, std::string_view kind, int unit)
      : run_dir_(std::move(run_dir)), kind_(kind), unit_(unit) {}

  ValuePlace Append(std::span<const std::byte> value);
  void Finish();

 private:
  std::filesystem::path FreePath() const;

  std::filesystem::path run_dir_;
  std::string kind_;
  int unit_;
  std::optional<File> file_;  // from the first value on
  uint64_t offset_ = 0;
};

// Of a file that such a writer made.
std::optional<int> UnitOfValueFile(const std::filesystem::path& path);

// kStoreCorrupt naming the file when it is not there, or `what` ("the input_amax of layers.0.w1")
// when it has other bytes.
std::vector<std::byte> ReadValueFile(const std::filesystem::path& run_dir, const ValuePlace& place,
                                     std::string_view what);
// The same check, a few MB at a time; and bytes [offset, offset + out.size()) of a value that was
// checked.
void CheckValueFile(const std::filesystem::path& run_dir, const ValuePlace& place,
                    std::string_view what);
void ReadValuePart(const std::filesystem::path& run_dir, const ValuePlace& place, uint64_t offset,
                   std::span<std::byte> out);

}  // namespace vernier::run

#endif  // VERNIER_RUN_VALUE_FILE_H_
