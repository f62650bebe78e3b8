#include "datasets/byte_level.h"

#include <array>
#include <cstdint>

#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

// Bytes that are not printable characters of Latin-1 are shown as 256, 257, ... in their order.
constexpr char32_t kFirstStandIn = 256;
constexpr char32_t kNoByte = 0xFFFF;

constexpr bool IsPrintable(char32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> MakeAlphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t stand_in = kFirstStandIn;
  for (char32_t byte = 0; byte < alphabet.size(); ++byte) {
    alphabet[byte] = IsPrintable(byte) ? byte : stand_in++;
  }
  return alphabet;
}

constexpr std::array<char32_t, 256> kAlphabet = MakeAlphabet();

// The byte of each character; the alphabet ends below 512.
constexpr std::array<char32_t, 512> MakeInverse() {
  std::array<char32_t, 512> inverse{};
  inverse.fill(kNoByte);
  for (char32_t byte = 0; byte < kAlphabet.size(); ++byte) inverse[kAlphabet[byte]] = byte;
  return inverse;
}

constexpr std::array<char32_t, 512> kInverse = MakeInverse();

}  // namespace

std::string BytesToAlphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) AppendUtf8(kAlphabet[static_cast<uint8_t>(byte)], out);
  return out;
}

std::string AlphabetToBytes(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (size_t position = 0; position < token.size();) {
    const char32_t character = NextCodePoint(token, position);
    if (character >= kInverse.size() || kInverse[character] == kNoByte) return std::string(token);
    out += static_cast<char>(kInverse[character]);
  }
  return out;
}

}  // namespace vernier::datasets
