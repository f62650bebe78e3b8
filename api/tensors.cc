// Tensors for callers in C.
#include "jobs/tensors.h"

#include <filesystem>
#include <memory>
#include <string>

#include "api/text.h"
#include "base/error.h"
#include "vernier/c.h"

using vernier::Error;
using vernier::ErrorCode;
using vernier::api::FailWithCurrentException;
using vernier::api::TextOf;
using vernier::jobs::TensorSource;

struct vernier_tensors {
  std::unique_ptr<TensorSource> source;
};

namespace {

using OpenFunction = std::unique_ptr<TensorSource> (*)(const std::filesystem::path&);

vernier_status Open(OpenFunction open, const char* path, vernier_tensors** tensors, char** list,
                    char** error) {
  if (list != nullptr) *list = nullptr;
  if (error != nullptr) *error = nullptr;
  try {
    auto opened = std::make_unique<vernier_tensors>();
    opened->source = open(TextOf(path));
    vernier::api::PutJson(opened->source->List(), list);
    *tensors = opened.release();
    return VERNIER_OK;
  } catch (...) {
    *tensors = nullptr;
    return FailWithCurrentException(error);
  }
}

// All elements are 4 or 8 bytes long.
void RequireAligned(const char* name, const void* values) {
  constexpr uintptr_t kAlignment = 8;
  if (reinterpret_cast<uintptr_t>(values) % kAlignment == 0) return;
  throw Error(ErrorCode::kBadArgument, TextOf(name), "its values have no aligned place to go to",
              "Give memory at a multiple of eight bytes");
}

}  // namespace

vernier_status vernier_open_weights(const char* checkpoint, vernier_tensors** tensors, char** list,
                                    char** error) {
  return Open(vernier::jobs::OpenWeights, checkpoint, tensors, list, error);
}

vernier_status vernier_open_statistics(const char* run, vernier_tensors** tensors, char** list,
                                       char** error) {
  return Open(vernier::jobs::OpenStatistics, run, tensors, list, error);
}

vernier_status vernier_read_tensor(const vernier_tensors* tensors, const char* name,
                                   int64_t first_row, int64_t rows, void* values, size_t bytes,
                                   char** error) {
  if (error != nullptr) *error = nullptr;
  try {
    RequireAligned(name, values);
    tensors->source->Read(TextOf(name), {first_row, rows},
                          {static_cast<std::byte*>(values), bytes});
    return VERNIER_OK;
  } catch (...) {
    return FailWithCurrentException(error);
  }
}

void vernier_close_tensors(vernier_tensors* tensors) { delete tensors; }
