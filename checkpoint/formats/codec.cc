#include "checkpoint/formats/codec.h"

#include <algorithm>
#include <ostream>

namespace vernier::checkpoint {
namespace {

// Of Format(): before all others.
ptrdiff_t RankOf(Format format) {
  if (!format) return -1;
  const std::span<const Codec* const> codecs = Codecs();
  return std::ranges::find(codecs, format.operator->()) - codecs.begin();
}

}  // namespace

std::strong_ordering operator<=>(Format a, Format b) { return RankOf(a) <=> RankOf(b); }

std::ostream& operator<<(std::ostream& out, Format format) {
  return out << (format ? format->name : "none");
}

Format FormatWritten(std::string_view target) {
  for (const Codec* codec : Codecs()) {
    if (codec->written() && codec->target == target) return *codec;
  }
  return {};
}

std::string_view FormatName(Format format) { return format->name; }
bool IsQuantised(Format format) { return format && format->quantised; }
bool IsReadable(Format format) { return format->readable(); }
bool IsNvfp4(Format format) { return format == formats::kNvfp4 || format == formats::kNvfp4Wide; }

int BitsOf(const WrittenParts& parts) {
  return DTypeBits(parts.codes) / static_cast<int>(parts.values_per_code);
}

uint64_t CodeBytes(const WrittenParts& parts, int64_t rows, int64_t columns) {
  const auto values = static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns);
  return values * static_cast<uint64_t>(BitsOf(parts)) / 8;
}

ScaleGrid ScalesOf(const WrittenParts& parts, int64_t rows, int64_t columns,
                   const BlockSize& blocks) {
  switch (parts.span) {
    case ScaleSpan::kRow:
      return {rows, 1};
    case ScaleSpan::kGroup:
      return {rows, columns / parts.group};
    case ScaleSpan::kBlock:
      return {CeilDivide(rows, blocks.rows), CeilDivide(columns, blocks.columns)};
    case ScaleSpan::kNone:
    case ScaleSpan::kWeight:
      break;
  }
  return {};
}

}  // namespace vernier::checkpoint
