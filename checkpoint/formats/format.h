// Which number format a weight has: a row of the table of codecs (codec.h).
#ifndef VERNIER_CHECKPOINT_FORMATS_FORMAT_H_
#define VERNIER_CHECKPOINT_FORMATS_FORMAT_H_

#include <compare>
#include <iosfwd>
#include <span>
#include <string_view>

namespace vernier::checkpoint {

struct Codec;

// Refers to a codec, or to none: a plan's Format() leaves a weight as it is stored.
class Format {
 public:
  constexpr Format() = default;
  constexpr Format(const Codec& codec) : codec_(&codec) {}  // NOLINT: a codec is a format

  constexpr const Codec* operator->() const { return codec_; }
  constexpr explicit operator bool() const { return codec_ != nullptr; }
  friend constexpr bool operator==(Format, Format) = default;
  // By the table's order; none is first.
  friend std::strong_ordering operator<=>(Format a, Format b);

 private:
  const Codec* codec_ = nullptr;
};

std::ostream& operator<<(std::ostream& out, Format format);  // by name

// All codecs, in the order in which recipes and reports list them and groups of tensors are tried.
std::span<const Codec* const> Codecs();

// The format that recipes call so ("fp8"), or none.
Format FormatWritten(std::string_view target);

std::string_view FormatName(Format format);  // of a weight as it is stored: "fp8_block"
// Whether its values are codes with scales: neither plain, nor a table, nor not understood.
bool IsQuantised(Format format);
// Quantised in a format whose values Vernier computes.
bool IsReadable(Format format);
// Nibbles of E2M1 with E4M3 scales and a global one.
bool IsNvfp4(Format format);

namespace formats {

extern const Codec kPlain;  // BF16, F16 or F32; written as BF16
inline constexpr const Codec& kBf16 = kPlain;
extern const Codec kNvfp4;       // U8 nibbles with E4M3 per 16 columns and an F32 global scale
extern const Codec kMxfp4;       // I8/U8 nibbles with E8M0 per 32 columns
extern const Codec kMxfp8;       // F8_E4M3 with E8M0 per 32 columns
extern const Codec kFp8Tensor;   // F8_E4M3 with one scale
extern const Codec kFp8Channel;  // F8_E4M3 with a scale per row
extern const Codec kFp8Block;    // F8_E4M3 with a scale per block of rows x columns
extern const Codec kInt4;        // I32 of eight symmetric 4-bit integers, a float scale per group
extern const Codec kQ8Zero;      // I8 with an F16 scale per 32 columns (GGUF's Q8_0); not read
extern const Codec kF32;         // what GGUF keeps in F32; no format of a source or a rule
// Read and not written.
extern const Codec kNvfp4Wide;  // NVFP4 with E4M3 per 32 columns (ModelOpt's W4A8_NVFP4_FP8)
extern const Codec kInt4Zero;   // kInt4, asymmetric: with zero points, packed along the rows
extern const Codec kInt4Rows;   // U8 of two rows, the low nibble the first (ModelOpt's), F32 scales
extern const Codec kInteger;    // I64, I32 ... tables: copied, never dequantised
// Known by name, and not read.
extern const Codec kInt8;        // I8, or I32 of four, with float scales
extern const Codec kStackedFp8;  // all experts of a layer in one tensor of three dimensions
extern const Codec kStackedMxfp4;
extern const Codec kStackedNvfp4;
extern const Codec kGptq;
extern const Codec kAwq;
extern const Codec kBitsAndBytes;
extern const Codec kOtherQuantised;  // of a scheme without a name here
extern const Codec kOpaque;          // not understood: copied, never dequantised

}  // namespace formats

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_FORMAT_H_
