#include "calib/encoded_weight.h"

#include <algorithm>
#include <mutex>
#include <numeric>

#include "checkpoint/weight_decoder.h"
#include "quantizers/amax.h"
#include "quantizers/float_formats.h"

namespace vernier::calib {
namespace {

constexpr int64_t kBlock = quantizers::kNvfp4BlockSize;

// Calls `run(begin, end)` on threads, for tiles of rows.
template <class Run>
void ForWeightRows(int64_t rows, const Run& run) {
  ForRowTiles(at::kCPU, rows, quantizers::kGptqRows, run);
}

// Of rows [begin, end) of `columns` values, so many to a byte.
template <class Byte>
std::span<Byte> BytesOfRows(std::span<Byte> all, int64_t begin, int64_t end, int64_t columns,
                            int64_t values_per_byte) {
  return all.subspan(static_cast<size_t>(begin * columns / values_per_byte),
                     static_cast<size_t>((end - begin) * columns / values_per_byte));
}

at::Tensor BytesOn(at::Device device, const std::vector<uint8_t>& bytes) {
  auto* data = const_cast<uint8_t*>(bytes.data());  // from_blob takes no other, and nobody writes
  return at::from_blob(data, {static_cast<int64_t>(bytes.size())}, at::kByte).to(device);
}

// Values of all codes, [256, 2] for the two of a byte of E2M1, [256] for E4M3.
at::Tensor PairsOn(at::Device device) {
  at::Tensor pairs = at::empty({256, 2}, at::kFloat);
  auto* values = pairs.data_ptr<float>();
  for (size_t code = 0; code < 256; ++code) {
    values[2 * code] = quantizers::kE2m1Values[code & 0xF];
    values[2 * code + 1] = quantizers::kE2m1Values[code >> 4];
  }
  return pairs.to(device);
}
at::Tensor ScalesOn(at::Device device) {
  return at::tensor(at::ArrayRef<float>(quantizers::kE4m3Values)).to(device);
}

at::Tensor DecodeOn(at::Device device, const EncodedWeight& encoded, int64_t rows, int64_t columns,
                    float global_scale) {
  const at::Tensor codes = BytesOn(device, encoded.codes).to(at::kInt);
  const at::Tensor scales = BytesOn(device, encoded.scales).to(at::kInt);
  at::Tensor values = PairsOn(device).index_select(0, codes).view({rows, columns / kBlock, kBlock});
  values.mul_(ScalesOn(device).index_select(0, scales).mul_(global_scale).view({rows, -1, 1}));
  return values.view({rows, columns});
}

}  // namespace

std::vector<std::byte> EncodedWeight::Bytes() const {
  std::vector<std::byte> bytes(codes.size() + scales.size());
  const auto code_bytes = std::as_bytes(std::span(codes));
  const auto scale_bytes = std::as_bytes(std::span(scales));
  std::ranges::copy(scale_bytes, std::ranges::copy(code_bytes, bytes.begin()).out);
  return bytes;
}

at::Tensor ReadWeightRows(const checkpoint::SourceModel& source,
                          const checkpoint::WeightReader& reader,
                          const checkpoint::LogicalWeight& weight,
                          const checkpoint::Rescaling& rescaling, int64_t first, int64_t rows) {
  const bool is_bf16 = rescaling.empty() && checkpoint::ExactInBf16(source.checkpoint, weight);
  const int64_t columns = weight.columns();
  at::Tensor values = at::empty({rows, columns}, is_bf16 ? at::kBFloat16 : at::kFloat);
  ForWeightRows(rows, [&](int64_t begin, int64_t end) {
    const auto count = static_cast<size_t>((end - begin) * columns);
    if (is_bf16) {
      auto* bits = reinterpret_cast<uint16_t*>(values.data_ptr<at::BFloat16>());
      reader.ReadBf16(weight, first + begin, end - begin, {bits + begin * columns, count});
      return;
    }
    const std::span<float> reals(values.data_ptr<float>() + begin * columns, count);
    reader.ReadF32(weight, first + begin, end - begin, reals);
    rescaling.Apply(first + begin, columns, reals);
  });
  return values;
}

EncodedWeight Encode(const at::Tensor& values, const EncodeRows& encode) {
  const int64_t columns = values.size(1);
  const auto size = static_cast<size_t>(values.numel());
  EncodedWeight encoded{std::vector<uint8_t>(size / 2), std::vector<uint8_t>(size / kBlock)};
  ForWeightRows(values.size(0), [&](int64_t begin, int64_t end) {
    encode(RealsOf(values, begin * columns, (end - begin) * columns),
           BytesOfRows(std::span(encoded.codes), begin, end, columns, 2),
           BytesOfRows(std::span(encoded.scales), begin, end, columns, kBlock));
  });
  return encoded;
}

EncodedWeight Encode(const at::Tensor& values, const quantizers::Nvfp4Options& options) {
  return Encode(values, [&](auto rows, auto codes, auto scales) {
    quantizers::QuantizeNvfp4(rows, values.size(1), options, codes, scales);
  });
}

at::Tensor Decode(const EncodedWeight& encoded, int64_t columns, float global_scale,
                  at::Device device) {
  const auto rows = static_cast<int64_t>(encoded.codes.size()) * 2 / columns;
  if (!device.is_cpu()) return DecodeOn(device, encoded, rows, columns, global_scale);
  at::Tensor values = at::empty({rows, columns}, at::kFloat);
  ForWeightRows(rows, [&](int64_t begin, int64_t end) {
    quantizers::DequantizeNvfp4(BytesOfRows(std::span(encoded.codes), begin, end, columns, 2),
                                BytesOfRows(std::span(encoded.scales), begin, end, columns, kBlock),
                                columns, global_scale,
                                std::span(values.data_ptr<float>() + begin * columns,
                                          static_cast<size_t>((end - begin) * columns)));
  });
  return values;
}

float AmaxOf(const at::Tensor& values) {
  const int64_t columns = values.size(1);
  std::mutex mutex;
  float amax = 0;
  ForWeightRows(values.size(0), [&](int64_t begin, int64_t end) {
    const float of_rows =
        quantizers::FindAmax(RealsOf(values, begin * columns, (end - begin) * columns)).value;
    const std::lock_guard lock(mutex);
    amax = std::max(amax, of_rows);
  });
  return amax;
}

double SumOfSquares(const at::Tensor& x) {
  const at::Tensor of_rows = x.square().sum({1}, /*keepdim=*/false, at::kDouble).cpu();
  const auto* sums = of_rows.data_ptr<double>();
  return std::accumulate(sums, sums + of_rows.numel(), 0.0);
}

}  // namespace vernier::calib
