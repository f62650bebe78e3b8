#include "checkpoint/shard_index.h"

#include <algorithm>
#include <utility>

#include "checkpoint/safetensors.h"
#include "checkpoint/strict_sax.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kRemedy = "Download the index again";
constexpr int kMaxDepth = 16;         // of metadata that is skipped
constexpr size_t kBytesAnEntry = 80;  // about: a name, and that of a file

// A plain name in the checkpoint's directory: nothing that could lead elsewhere.
bool IsPlainFileName(std::string_view name) {
  if (name.empty() || name == "." || name.find("..") != std::string_view::npos) return false;
  return name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

class IndexHandler : public StrictSax {
 public:
  IndexHandler(std::string_view origin, size_t json_bytes)
      : StrictSax(ErrorCode::kBadIndex, origin, kRemedy) {
    index_.file_of_tensor.reserve(json_bytes / kBytesAnEntry);
  }

  ShardIndex Take() {
    if (!has_map_) Fail("has no weight_map");
    SortFiles();
    return std::move(index_);
  }

  bool start_object(size_t /*elements*/) override {
    if (skipped_depth_ > 0) return Skip(+1);
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && key_ == "weight_map") {
      if (has_map_) Fail("has two weight_maps");
      has_map_ = true;
      place_ = Place::kMap;
    } else if (place_ == Place::kTop && key_ == "metadata") {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kMap) {
      Unexpected("an object");
    } else {
      return Skip(+1);
    }
    return true;
  }

  bool end_object() override {
    if (skipped_depth_ > 0) return Skip(-1);
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ == Place::kStart || place_ == Place::kMap) Unexpected("an array");
    return Skip(+1);
  }
  bool end_array() override { return Skip(-1); }

  bool key(std::string& value) override {
    if (skipped_depth_ == 0) key_ = std::move(value);
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMap) {
      AddTensor(value);
      return true;
    }
    return SkipValue("a text");
  }
  bool number_unsigned(uint64_t value) override {
    if (IsTotalSize()) index_.total_size = value;
    return SkipValue("a number");
  }
  bool number_float(double value, const std::string& /*text*/) override {
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    // Some writers divide element counts and so write a whole number as a float.
    if (IsTotalSize() && value >= 0 && value < kExactIntegers) {
      index_.total_size = static_cast<uint64_t>(value);
    }
    return SkipValue("a number");
  }
  bool number_integer(int64_t /*value*/) override { return SkipValue("a negative number"); }
  bool boolean(bool /*value*/) override { return SkipValue("a boolean"); }
  bool null() override { return SkipValue("null"); }

 protected:
  std::string Where() const override {
    return place_ == Place::kMap ? "weight_map's entry " + QuotedName(key_) : "the index";
  }

 private:
  enum class Place { kStart, kTop, kMap, kMetadata, kEnd };

  bool IsTotalSize() const {
    return place_ == Place::kMetadata && skipped_depth_ == 0 && key_ == "total_size";
  }

  bool Skip(int step) {
    skipped_depth_ += step;
    if (skipped_depth_ > kMaxDepth) Fail("is nested too deeply");
    return true;
  }

  // A value outside the map may be anything.
  bool SkipValue(std::string_view what) const {
    if (place_ == Place::kStart || place_ == Place::kMap) Unexpected(what);
    if (place_ == Place::kTop && skipped_depth_ == 0 && key_ == "weight_map") Unexpected(what);
    return true;
  }

  void AddTensor(const std::string& file) {
    if (!IsPlainFileName(file)) {
      Fail(Where() + " names the file " + QuotedName(file) + ", which is no plain file name");
    }
    // Neighbours are mostly in one file.
    if (index_.files.empty() || file != index_.files[last_file_]) last_file_ = FileNumber(file);
    if (!index_.file_of_tensor.emplace(key_, last_file_).second) {
      Fail(Where() + " is there twice");
    }
  }

  size_t FileNumber(const std::string& file) {
    const auto [it, is_new] = file_numbers_.emplace(file, index_.files.size());
    if (is_new) index_.files.push_back(file);
    return it->second;
  }

  void SortFiles() {
    std::vector<std::string> sorted = index_.files;
    std::sort(sorted.begin(), sorted.end());
    std::vector<size_t> new_number(sorted.size());
    for (size_t i = 0; i < sorted.size(); ++i) new_number[file_numbers_.at(sorted[i])] = i;
    for (auto& [name, file] : index_.file_of_tensor) file = new_number[file];
    index_.files = std::move(sorted);
  }

  Place place_ = Place::kStart;
  int skipped_depth_ = 0;
  bool has_map_ = false;
  std::string key_;
  size_t last_file_ = 0;
  std::unordered_map<std::string, size_t> file_numbers_;
  ShardIndex index_;
};

}  // namespace

ShardIndex ParseShardIndex(std::string_view json, std::string_view origin) {
  if (json.size() > kMaxHeaderBytes) {
    throw Error(ErrorCode::kBadIndex, origin,
                "has " + std::to_string(json.size()) + " bytes, more than the limit of " +
                    std::to_string(kMaxHeaderBytes),
                kRemedy);
  }
  IndexHandler handler(origin, json.size());
  handler.Parse(json);
  return handler.Take();
}

}  // namespace vernier::checkpoint
