#include "datasets/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "datasets/byte_level.h"
#include "datasets/sequence.h"
#include "datasets/space_mark.h"

namespace vernier::datasets {
namespace {

struct Segment {
  Span span;
  bool is_match;
};

// The whole text as alternating matches and what lies between them.
std::vector<Segment> Segments(size_t size, std::span<const Span> matches, bool invert) {
  std::vector<Segment> segments;
  size_t end = 0;
  for (const Span& match : matches) {
    if (match.begin != end) segments.push_back({{end, match.begin}, invert});
    segments.push_back({match, !invert});
    end = match.end;
  }
  if (end != size) segments.push_back({{end, size}, invert});
  return segments;
}

// Each match joins the segment before it, except a match that follows a match.
std::vector<Span> MergeWithPrevious(std::span<const Segment> segments) {
  std::vector<Span> pieces;
  bool previous_is_match = false;
  for (const Segment& segment : segments) {
    if (segment.is_match && !previous_is_match && !pieces.empty()) {
      pieces.back().end = segment.span.end;
    } else {
      pieces.push_back(segment.span);
    }
    previous_is_match = segment.is_match;
  }
  return pieces;
}

// The mirror image: each match joins the segment after it, except one that a match follows.
std::vector<Span> MergeWithNext(std::span<const Segment> segments) {
  std::vector<Span> pieces;
  bool next_is_match = false;
  for (size_t i = segments.size(); i-- > 0;) {
    const Segment& segment = segments[i];
    if (segment.is_match && !next_is_match && !pieces.empty()) {
      pieces.back().begin = segment.span.begin;
    } else {
      pieces.push_back(segment.span);
    }
    next_is_match = segment.is_match;
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<Span> MergeAlike(std::span<const Segment> segments) {
  std::vector<Span> pieces;
  bool previous_is_match = false;
  for (const Segment& segment : segments) {
    if (segment.is_match == previous_is_match && !pieces.empty()) {
      pieces.back().end = segment.span.end;
    } else {
      pieces.push_back(segment.span);
    }
    previous_is_match = segment.is_match;
  }
  return pieces;
}

std::vector<Span> Spans(std::span<const Segment> segments, bool with_matches) {
  std::vector<Span> pieces;
  pieces.reserve(segments.size());
  for (const Segment& segment : segments) {
    if (with_matches || !segment.is_match) pieces.push_back(segment.span);
  }
  return pieces;
}

using Pieces = std::vector<std::string>;

Pieces ApplyStep(const Split& split, const Pieces& pieces, bool) {
  Pieces out;
  out.reserve(pieces.size());
  for (const std::string& piece : pieces) {
    const std::vector<Span> matches = split.pattern.FindAll(piece);
    for (const Span& span : SplitSpans(piece.size(), matches, split.behavior, split.invert)) {
      if (span.begin != span.end) out.push_back(piece.substr(span.begin, span.end - span.begin));
    }
  }
  return out;
}

Pieces ApplyStep(SpacePrefix, Pieces pieces, bool) {
  for (std::string& piece : pieces) {
    if (!piece.starts_with(' ')) piece.insert(piece.begin(), ' ');
  }
  return pieces;
}

Pieces ApplyStep(ByteAlphabet, Pieces pieces, bool) {
  for (std::string& piece : pieces) piece = BytesToAlphabet(piece);
  return pieces;
}

std::string MarkSpaces(std::string_view text) {
  std::string marked;
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked += c;
    }
  }
  return marked;
}

Pieces ApplyStep(const SpaceMark& mark, Pieces pieces, bool at_start) {
  using Prepend = SpaceMark::Prepend;
  for (std::string& piece : pieces) {
    const bool first = at_start && &piece == &pieces.front();
    const bool wanted =
        mark.prepend == Prepend::kAlways || (mark.prepend == Prepend::kFirst && first);
    piece = MarkSpaces(piece);
    if (wanted && !piece.starts_with(kSpaceMark)) piece.insert(0, kSpaceMark);
  }
  return pieces;
}

SpaceMark ParseSpaceMark(const JsonPart& part) {
  using Prepend = SpaceMark::Prepend;
  if (part.Text("replacement") != kSpaceMark) part.RefuseUnsupported("another replacement");
  if (!part.Has("prepend_scheme")) {
    return {part.FlagOr("add_prefix_space", true) ? Prepend::kAlways : Prepend::kNever};
  }
  const std::string scheme = part.Text("prepend_scheme");
  if (scheme == "always") return {Prepend::kAlways};
  if (scheme == "first") return {Prepend::kFirst};
  if (scheme == "never") return {Prepend::kNever};
  part.RefuseUnsupported(fmt::format("the prepend_scheme \"{}\"", scheme));
}

SplitBehavior ParseBehavior(const JsonPart& part) {
  const std::string name = part.Text("behavior");
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  part.RefuseUnsupported(fmt::format("the split behavior \"{}\"", name));
}

void AppendSteps(const JsonPart& part, std::vector<PreTokenizerStep>& steps) {
  const std::string type = part.Text("type");
  if (type == "Split") {
    steps.push_back(
        Split{Regex::FromJson(part.At("pattern")), ParseBehavior(part), part.Flag("invert")});
  } else if (type == "Digits") {
    const SplitBehavior behavior =
        part.Flag("individual_digits") ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
    steps.push_back(Split{Regex::Compile(R"(\p{N})", part), behavior, /*invert=*/false});
  } else if (type == "ByteLevel") {
    if (part.Flag("add_prefix_space")) steps.push_back(SpacePrefix{});
    if (part.FlagOr("use_regex", true)) {
      steps.push_back(
          Split{Regex::Compile(kGpt2Pattern, part), SplitBehavior::kIsolated, /*invert=*/false});
    }
    steps.push_back(ByteAlphabet{});
  } else if (type == "Metaspace") {
    steps.push_back(ParseSpaceMark(part));
    if (part.FlagOr("split", true)) {
      steps.push_back(Split{Regex::Compile(kSpaceMark, part), SplitBehavior::kMergedWithNext,
                            /*invert=*/false});
    }
  } else {
    part.RefuseUnsupported(fmt::format("the pre-tokenizer type \"{}\"", type));
  }
}

}  // namespace

std::vector<Span> SplitSpans(size_t size, std::span<const Span> matches, SplitBehavior behavior,
                             bool invert) {
  const std::vector<Segment> segments = Segments(size, matches, invert);
  switch (behavior) {
    case SplitBehavior::kMergedWithPrevious:
      return MergeWithPrevious(segments);
    case SplitBehavior::kMergedWithNext:
      return MergeWithNext(segments);
    case SplitBehavior::kContiguous:
      return MergeAlike(segments);
    case SplitBehavior::kRemoved:
      return Spans(segments, /*with_matches=*/false);
    case SplitBehavior::kIsolated:
      break;
  }
  return Spans(segments, /*with_matches=*/true);
}

PreTokenizer PreTokenizer::FromJson(const JsonPart& file) {
  PreTokenizer pre_tokenizer;
  if (!file.Has("pre_tokenizer")) return pre_tokenizer;
  for (const JsonPart& part : FlattenSequence(file.At("pre_tokenizer"), "pretokenizers")) {
    AppendSteps(part, pre_tokenizer.steps_);
  }
  return pre_tokenizer;
}

std::vector<std::string> PreTokenizer::Apply(std::string_view text, bool at_start) const {
  Pieces pieces;
  if (!text.empty()) pieces.emplace_back(text);
  for (const PreTokenizerStep& step : steps_) {
    pieces = std::visit(
        [&](const auto& action) { return ApplyStep(action, std::move(pieces), at_start); }, step);
  }
  return pieces;
}

}  // namespace vernier::datasets
