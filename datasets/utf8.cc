#include "datasets/utf8.h"

#include <cassert>
#include <cstdint>

namespace vernier::datasets {
namespace {

uint8_t ByteAt(std::string_view text, size_t position) {
  return static_cast<uint8_t>(text[position]);
}

bool IsContinuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

struct Subpart {
  size_t length;
  bool well_formed;
};

// The row of Unicode's table 3-7 for a lead byte: total length (0: no lead byte) and the range of
// the second byte.
struct LeadByte {
  size_t length;
  uint8_t second_min;
  uint8_t second_max;
};

LeadByte ClassifyLead(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// The well-formed code point or the maximal ill-formed subpart at `position`.
Subpart SubpartAt(std::string_view bytes, size_t position) {
  const LeadByte lead = ClassifyLead(ByteAt(bytes, position));
  if (lead.length == 0) return {1, false};
  for (size_t i = 1; i < lead.length; ++i) {
    if (position + i == bytes.size()) return {i, false};
    const uint8_t byte = ByteAt(bytes, position + i);
    const bool in_range =
        i == 1 ? byte >= lead.second_min && byte <= lead.second_max : IsContinuation(byte);
    if (!in_range) return {i, false};
  }
  return {lead.length, true};
}

}  // namespace

size_t WellFormedPrefix(std::string_view bytes) {
  size_t position = 0;
  while (position < bytes.size()) {
    const Subpart subpart = SubpartAt(bytes, position);
    if (!subpart.well_formed) break;
    position += subpart.length;
  }
  return position;
}

std::string RepairUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t position = 0; position < bytes.size();) {
    const Subpart subpart = SubpartAt(bytes, position);
    out += subpart.well_formed ? bytes.substr(position, subpart.length) : kReplacementCharacter;
    position += subpart.length;
  }
  return out;
}

char32_t NextCodePoint(std::string_view text, size_t& position) {
  const uint8_t lead = ByteAt(text, position);
  const size_t length = ClassifyLead(lead).length;
  assert(length >= 1 && position + length <= text.size());
  char32_t code_point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    code_point = code_point << 6 | (ByteAt(text, position + i) & 0x3Fu);
  }
  position += length;
  return code_point;
}

size_t PreviousCodePoint(std::string_view text, size_t position) {
  assert(position > 0);
  do {
    --position;
  } while (position > 0 && IsContinuation(ByteAt(text, position)));
  return position;
}

void AppendUtf8(char32_t code_point, std::string& out) {
  const auto append_bits = [&](int shift) {
    out += static_cast<char>(0x80 | (code_point >> shift & 0x3F));
  };
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
    return;
  }
  if (code_point < 0x800) {
    out += static_cast<char>(0xC0 | code_point >> 6);
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xE0 | code_point >> 12);
    append_bits(6);
  } else {
    out += static_cast<char>(0xF0 | code_point >> 18);
    append_bits(12);
    append_bits(6);
  }
  append_bits(0);
}

bool IsWhiteSpace(char32_t code_point) {
  return (code_point >= 0x9 && code_point <= 0xD) || code_point == 0x20 || code_point == 0x85 ||
         code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

size_t LeadingWhiteSpace(std::string_view text) {
  size_t length = 0;
  for (size_t next = 0; next < text.size(); length = next) {
    if (!IsWhiteSpace(NextCodePoint(text, next))) break;
  }
  return length;
}

size_t TrailingWhiteSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const size_t previous = PreviousCodePoint(text, begin);
    size_t position = previous;
    if (!IsWhiteSpace(NextCodePoint(text, position))) break;
    begin = previous;
  }
  return text.size() - begin;
}

}  // namespace vernier::datasets
