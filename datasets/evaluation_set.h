// Text cut into windows whose tokens are predicted: the data of perplexity and KL divergence.
#ifndef VERNIER_DATASETS_EVALUATION_SET_H_
#define VERNIER_DATASETS_EVALUATION_SET_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {

// Whether every window begins with the tokenizer's prefix (BOS, mostly), in front of its part of
// the text.
enum class WindowBos {
  kAuto,  // if the tokenizer puts one before a text
  kYes,   // then BOS; kBadTokenizer for a tokenizer without
  kNo,
};

struct WindowSpec {
  int64_t window = 512;     // ids in a window, with its BOS
  int64_t stride = 0;       // ids of the text from one window to the next; 0: no overlap
  int64_t max_windows = 0;  // of each source, from its beginning; 0: all
  WindowBos bos = WindowBos::kAuto;
  ChatFormat chat_format = ChatFormat::kAuto;
  std::string column = {};  // as DataSource::column, of every source
};

// Part of a text that a window holds: ids [begin, end), of which those before `first_new` were in
// the window before and are only context.
struct WindowCut {
  int64_t begin = 0;
  int64_t first_new = 0;
  int64_t end = 0;
};

// Windows of at most `capacity` ids over a text of `length` ids, one every `stride` (1..capacity),
// until one reaches the end. Every id is new in exactly one of them.
std::vector<WindowCut> CutWindows(int64_t length, int64_t capacity, int64_t stride);

// What one source of text gave. Hashes are XXH3-128.
struct TextSource {
  std::string name;  // the path as given
  int64_t first_window = 0;
  int64_t windows = 0;
  int64_t documents = 0;       // 0 for ready ids
  int64_t tokens = 0;          // ids of the joined documents that lie in windows
  int64_t scored = 0;          // of these, predicted ones
  std::string text_hash = {};  // of the documents' bytes as they lie in files; empty for ids
  std::string ids_hash = {};   // of the joined ids that lie in windows, as little-endian I32
};

struct EvaluationSet {
  CalibrationSet tokens;  // a sample is a window; the last one of a source may be padded
  // [samples * sequence_length]: whether the id is predicted from those before it in its window,
  // and counts.
  std::vector<uint8_t> scored;
  std::vector<TextSource> sources;  // their windows follow each other
  bool window_bos = false;          // what WindowSpec::bos came to
  // What WindowSpec::chat_format came to.
  ChatFormat chat_format = ChatFormat::kPlain;
  int64_t window = 0;  // ids
  int64_t stride = 0;  // ids of the text; equal to the window's where none overlap

  int64_t Scored() const;
};

// Joins the documents of each source in order, each with the tokenizer's prefix and suffix, and
// cuts windows. An id is scored in the one window where it is new, unless nothing stands before it
// there, or it is of a document's prefix, which nothing predicts. A window whose text begins with
// the prefix gets no second one.
//
// Documents are read only as far as `spec.max_windows` needs. Errors: kBadArgument for sizes that
// make no sense, kTooLittleData for a source in which no token is predicted; otherwise as
// BuildCalibrationSet.
EvaluationSet BuildEvaluationSet(std::span<const std::filesystem::path> sources,
                                 const WindowSpec& spec, const Tokenizer& tokenizer);

// Rows of ready ids as windows of one source: all but the first of each are predicted. kBadTokenIds
// for rows of one id.
EvaluationSet EvaluationSetOfIds(CalibrationSet rows, std::string name);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_EVALUATION_SET_H_
