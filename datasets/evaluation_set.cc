#include "datasets/evaluation_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "datasets/document_encoder.h"
#include "datasets/document_index.h"
#include "datasets/special_ids.h"

namespace vernier::datasets {
namespace {

[[noreturn]] void RefuseSize(std::string_view option, int64_t value, std::string_view range) {
  throw Error(ErrorCode::kBadArgument, option, fmt::format("{} is outside {}", value, range),
              "Correct the number");
}

// What windows begin with: BOS, mostly; nothing when they do not.
std::vector<int32_t> PrefixOfWindows(WindowBos bos, const Tokenizer& tokenizer) {
  if (bos == WindowBos::kNo) return {};
  if (bos == WindowBos::kAuto || !tokenizer.prefix().empty()) return tokenizer.prefix();
  if (tokenizer.bos_id()) return {*tokenizer.bos_id()};
  throw Error(ErrorCode::kBadTokenizer, "--bos yes", "the tokenizer has no BOS",
              "Leave the option out, or name bos_token in tokenizer_config.json");
}

std::string HashOfIds(std::span<const int32_t> ids) {
  Hasher hasher;
  hasher.Update(std::as_bytes(ids));
  return hasher.Hex();
}

// A source's documents joined, as far as they are needed.
struct JoinedText {
  std::vector<int32_t> ids;
  int64_t documents = 0;
  std::string hash;
};

JoinedText JoinDocuments(const DataSource& source, const DocumentEncoder& encoder,
                         std::optional<int64_t> needed) {
  const DocumentIndex index = DocumentIndex::Scan(source);
  const auto enough = [&](const JoinedText& text) {
    return needed && static_cast<int64_t>(text.ids.size()) >= *needed;
  };
  JoinedText text;
  Hasher hasher;
  for (size_t i = 0; i < index.size() && !enough(text); ++i) {
    const Document document = index.Read(i);
    const std::vector<int32_t> ids = encoder.Encode(document);
    text.ids.insert(text.ids.end(), ids.begin(), ids.end());
    hasher.Update(document.content);
    ++text.documents;
  }
  if (enough(text)) text.ids.resize(static_cast<size_t>(*needed));
  text.hash = hasher.Hex();
  return text;
}

// Ids of a window and which of them are scored.
struct Window {
  std::vector<int32_t> ids;
  std::vector<uint8_t> scored;

  bool Predicts() const { return std::ranges::count(scored, 1) > 0; }
};

class WindowMaker {
 public:
  WindowMaker(const WindowSpec& spec, const Tokenizer& tokenizer)
      : prefix_(PrefixOfWindows(spec.bos, tokenizer)), document_prefix_(tokenizer.prefix()) {
    constexpr int64_t kMost = int64_t{1} << 24;
    const auto prefix = static_cast<int64_t>(prefix_.size());
    const int64_t least = std::max<int64_t>(2, prefix + 1);
    if (spec.window < least || spec.window > kMost) {
      RefuseSize("--window", spec.window, fmt::format("{}..{}", least, kMost));
    }
    capacity_ = spec.window - prefix;
    stride_ = spec.stride == 0 ? capacity_ : spec.stride;
    if (stride_ < 1 || stride_ > capacity_) {
      RefuseSize("--stride", stride_, fmt::format("1..{}, a window's share of text", capacity_));
    }
    if (spec.max_windows < 0) RefuseSize("--windows", spec.max_windows, "0 and above");
    if (spec.max_windows > 0) needed_ = (spec.max_windows - 1) * stride_ + capacity_;
  }

  bool has_bos() const { return !prefix_.empty(); }
  int64_t stride() const { return stride_; }
  // How much of a text there is use for.
  std::optional<int64_t> needed() const { return needed_; }

  // Windows in which anything is predicted.
  std::vector<Window> Cut(std::span<const int32_t> text) const {
    std::vector<Window> windows;
    for (const WindowCut& cut : CutWindows(static_cast<int64_t>(text.size()), capacity_, stride_)) {
      Window window = Make(text, cut);
      if (window.Predicts()) windows.push_back(std::move(window));
    }
    return windows;
  }

 private:
  Window Make(std::span<const int32_t> text, const WindowCut& cut) const {
    Window window;
    const auto add = [&](int32_t id, bool scored) {
      window.ids.push_back(id);
      window.scored.push_back(scored ? 1 : 0);
    };
    if (!StartsWith(text.subspan(static_cast<size_t>(cut.begin)), prefix_)) {
      for (const int32_t id : prefix_) add(id, false);
    }
    for (int64_t i = cut.begin; i < cut.end; ++i) {
      const int32_t id = text[static_cast<size_t>(i)];
      add(id, i >= cut.first_new && !window.ids.empty() && !BeginsDocuments(id));
    }
    return window;
  }

  bool BeginsDocuments(int32_t id) const {
    return std::ranges::find(document_prefix_, id) != document_prefix_.end();
  }

  std::vector<int32_t> prefix_, document_prefix_;
  int64_t capacity_ = 0;
  int64_t stride_ = 0;
  std::optional<int64_t> needed_;
};

// Appends windows that are padded to set.tokens.sequence_length.
void Append(const std::vector<Window>& windows, EvaluationSet* set) {
  CalibrationSet& tokens = set->tokens;
  for (const Window& window : windows) {
    tokens.lengths.push_back(static_cast<int32_t>(window.ids.size()));
    tokens.ids.insert(tokens.ids.end(), window.ids.begin(), window.ids.end());
    set->scored.insert(set->scored.end(), window.scored.begin(), window.scored.end());
    const size_t end = tokens.lengths.size() * static_cast<size_t>(tokens.sequence_length);
    tokens.ids.resize(end);
    set->scored.resize(end);
  }
  tokens.samples = static_cast<int64_t>(tokens.lengths.size());
}

int64_t CountScored(const std::vector<Window>& windows) {
  int64_t scored = 0;
  for (const Window& window : windows) scored += std::ranges::count(window.scored, 1);
  return scored;
}

}  // namespace

std::vector<WindowCut> CutWindows(int64_t length, int64_t capacity, int64_t stride) {
  std::vector<WindowCut> cuts;
  int64_t seen = 0;
  for (int64_t begin = 0; seen < length; begin += stride) {
    const int64_t end = std::min(begin + capacity, length);
    cuts.push_back({begin, seen, end});
    seen = end;
  }
  return cuts;
}

int64_t EvaluationSet::Scored() const {
  return std::accumulate(scored.begin(), scored.end(), int64_t{0});
}

EvaluationSet BuildEvaluationSet(std::span<const std::filesystem::path> sources,
                                 const WindowSpec& spec, const Tokenizer& tokenizer) {
  const WindowMaker maker(spec, tokenizer);
  const DocumentEncoder encoder(tokenizer, spec.chat_format);
  EvaluationSet set;
  set.tokens.sequence_length = spec.window;
  set.window_bos = maker.has_bos();
  set.chat_format = encoder.chat_format();
  set.window = spec.window;
  set.stride = maker.stride();
  for (const std::filesystem::path& source : sources) {
    const JoinedText text =
        JoinDocuments({.path = source, .column = spec.column}, encoder, maker.needed());
    const std::vector<Window> windows = maker.Cut(text.ids);
    if (windows.empty()) {
      throw Error(ErrorCode::kTooLittleData, source.string(),
                  fmt::format("{} tokens, of which none can be predicted", text.ids.size()),
                  "Give more text");
    }
    set.sources.push_back({.name = source.string(),
                           .first_window = set.tokens.samples,
                           .windows = static_cast<int64_t>(windows.size()),
                           .documents = text.documents,
                           .tokens = static_cast<int64_t>(text.ids.size()),
                           .scored = CountScored(windows),
                           .text_hash = text.hash,
                           .ids_hash = HashOfIds(text.ids)});
    Append(windows, &set);
  }
  return set;
}

EvaluationSet EvaluationSetOfIds(CalibrationSet rows, std::string name) {
  if (rows.sequence_length < 2) {
    throw Error(ErrorCode::kBadTokenIds, name, "windows of one token predict nothing",
                "Give windows of at least two tokens");
  }
  EvaluationSet set;
  set.window = set.stride = rows.sequence_length;
  set.scored.assign(rows.ids.size(), 1);
  for (size_t first = 0; first < rows.ids.size(); first += static_cast<size_t>(set.window)) {
    set.scored[first] = 0;
  }
  set.sources.push_back({.name = std::move(name),
                         .first_window = 0,
                         .windows = rows.samples,
                         .documents = 0,
                         .tokens = static_cast<int64_t>(rows.ids.size()),
                         .scored = rows.samples * (set.window - 1),
                         .text_hash = {},
                         .ids_hash = HashOfIds(rows.ids)});
  set.tokens = std::move(rows);
  return set;
}

}  // namespace vernier::datasets
