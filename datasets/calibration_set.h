// Calibration samples: text sources tokenised into sequences of one length.
#ifndef VERNIER_DATASETS_CALIBRATION_SET_H_
#define VERNIER_DATASETS_CALIBRATION_SET_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "datasets/tokenizer_or_error.h"

namespace vernier::datasets {

enum class SourceFormat {
  kAuto,     // Parquet by content, else by name: .jsonl and .json are rows, everything else text
  kJsonl,    // one object a line, or a JSON array of objects: "input_ids" [int], or "messages"
             // [{role, content}], or "conversations" [{from, value}], or "text"; the first of these
             // that is there and not null is used, other fields are ignored. A content may be null,
             // or a list of text parts
  kText,     // the whole file is one document
  kParquet,  // rows with the same fields (docs/guide.md says what reads them)
};

// How sequences are cut from documents.
enum class Packing {
  kPack,      // documents are joined (each with its BOS/EOS) into one stream, cut every
              // sequence_length tokens; a last, shorter piece is used only if nothing else is left
  kTruncate,  // one document a sequence, its first sequence_length tokens; shorter ones are padded
};

// How a chat ("messages") becomes text. Control tokens must exist in the tokenizer.
enum class ChatFormat {
  kAuto,      // the checkpoint's template if it has one, else plain
  kTemplate,  // the checkpoint's own chat template (chat_template.h), as engines apply it
  kPlain,     // contents joined by newlines
  kDeepSeek,  // system text bare, then <｜User｜>…<｜Assistant｜>…<｜end▁of▁sentence｜>
  kChatMl,    // <|im_start|>role\n…<|im_end|>\n
};

struct DataSource {
  // A file, or a directory whose .jsonl, .json, .parquet and .txt files are read in byte order of
  // their names.
  std::filesystem::path path;
  SourceFormat format = SourceFormat::kAuto;
  double weight = 1.0;  // share of the samples, relative to the other sources
  // The field of a row that holds its text, messages or ids; empty: the first of the names above.
  std::string column = {};
};

struct CalibrationSpec {
  std::vector<DataSource> sources;
  int64_t samples = 128;
  int64_t sequence_length = 512;
  Packing packing = Packing::kPack;
  ChatFormat chat_format = ChatFormat::kAuto;
  uint64_t seed = 0;
};

// samples x sequence_length token ids. Position t of sample s is real iff t < lengths[s]; the rest
// is padding (id 0) that must be neither attended to nor observed.
struct CalibrationSet {
  int64_t samples = 0;
  int64_t sequence_length = 0;
  std::vector<int32_t> ids;      // [samples * sequence_length]
  std::vector<int32_t> lengths;  // [samples], each in 1..sequence_length
  std::string fingerprint;       // hash of shape, ids and lengths

  int64_t RealTokens() const;
  std::span<const int32_t> Sample(int64_t sample) const;
};

// Leaves the first samples of `tokens`, at most `samples`; the fingerprint stays that of all.
void KeepSamples(int64_t samples, CalibrationSet& tokens);

// Chooses `spec.samples` sequences: each source gives its weight's share (largest remainder),
// chosen and ordered by a generator seeded with `spec.seed`, the same on every platform. A source
// that has too few sequences gives all it has; the others make up for it in proportion to their
// weights.
//
// A text or chat gets the tokenizer's prefix and suffix (BOS and EOS), unless it already begins or
// ends with them; `input_ids` are taken as they are. Documents without tokens are passed over.
//
// Cost: each source is scanned once for line ends, and documents are parsed and tokenised in seeded
// order only until the source's share is full. So memory grows with the number of lines (40 bytes
// each) and not with their length, a malformed line that is never drawn is never noticed, and a
// plain text file, being one document, is read whole if it is drawn.
//
// Errors: kBadDataset (file, line and what is wrong; also a source list, size or weight that makes
// no sense, and a control token that the tokenizer lacks), kTooLittleData (how many sequences there
// were), kFileOpen and kFileRead.
// Without a tokenizer only ready ids will do: any other document is the error of loading it.
CalibrationSet BuildCalibrationSet(const CalibrationSpec& spec, const TokenizerOrError& tokenizer);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_CALIBRATION_SET_H_
