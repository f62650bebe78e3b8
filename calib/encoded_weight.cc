#include "calib/encoded_weight.h"

#include <algorithm>
#include <mutex>
#include <numeric>

#include "calib/families/row_tiles.h"
#include "checkpoint/weight_decoder.h"
#include "quantizers/amax.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4_gptq.h"

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

std::span<uint8_t> SpanOf(const at::Tensor& bytes) {
  return {bytes.data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())};
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

at::Tensor DecodeOn(at::Device device, const EncodedWeight& encoded, float global_scale) {
  const auto indices = [device](const at::Tensor& bytes) {
    const bool stays = bytes.is_pinned();  // until it is copied
    return bytes.to(device, at::kByte, /*non_blocking=*/stays).to(at::kInt).flatten();
  };
  const int64_t rows = encoded.scales.size(0), blocks = encoded.scales.size(1);
  at::Tensor values = PairsOn(device).index_select(0, indices(encoded.codes));
  const at::Tensor scales = ScalesOn(device).index_select(0, indices(encoded.scales));
  values.view({rows * blocks, kBlock}).mul_(scales.mul_(global_scale).unsqueeze(1));
  return values.view({rows, blocks * kBlock});
}

}  // namespace

std::vector<std::byte> EncodedWeight::Bytes() const {
  std::vector<std::byte> bytes(codes.nbytes() + scales.nbytes());
  std::byte* to = bytes.data();
  for (const at::Tensor& part : {codes, scales}) {
    at::from_blob(to, part.sizes(), at::kByte).copy_(part);
    to += part.nbytes();
  }
  return bytes;
}

at::Tensor ReadWeightRows(const checkpoint::SourceModel& source,
                          const checkpoint::WeightReader& reader,
                          const checkpoint::LogicalWeight& weight,
                          const checkpoint::Rescaling& rescaling, int64_t first, int64_t rows,
                          bool pinned) {
  const bool is_bf16 = rescaling.empty() && checkpoint::ExactInBf16(source.checkpoint, weight);
  const int64_t columns = weight.columns();
  at::Tensor values =
      at::empty({rows, columns},
                at::TensorOptions(is_bf16 ? at::kBFloat16 : at::kFloat).pinned_memory(pinned));
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
  const int64_t rows = values.size(0), columns = values.size(1);
  const auto bytes = at::TensorOptions(at::kByte).pinned_memory(values.is_pinned());
  EncodedWeight encoded{at::empty({rows, columns / 2}, bytes),
                        at::empty({rows, columns / kBlock}, bytes)};
  ForWeightRows(rows, [&](int64_t begin, int64_t end) {
    encode(RealsOf(values, begin * columns, (end - begin) * columns),
           BytesOfRows(SpanOf(encoded.codes), begin, end, columns, 2),
           BytesOfRows(SpanOf(encoded.scales), begin, end, columns, kBlock));
  });
  return encoded;
}

EncodedWeight Encode(const at::Tensor& values, const quantizers::Nvfp4Options& options) {
  return Encode(values, [&](auto rows, auto codes, auto scales) {
    quantizers::QuantizeNvfp4(rows, values.size(1), options, codes, scales);
  });
}

at::Tensor Decode(const EncodedWeight& encoded, float global_scale, at::Device device) {
  if (!device.is_cpu()) return DecodeOn(device, encoded, global_scale);
  const at::Tensor codes = encoded.codes.cpu().contiguous();
  const at::Tensor scales = encoded.scales.cpu().contiguous();
  const int64_t columns = 2 * codes.size(1);
  at::Tensor values = at::empty({codes.size(0), columns}, at::kFloat);
  ForWeightRows(values.size(0), [&](int64_t begin, int64_t end) {
    quantizers::DequantizeNvfp4(BytesOfRows(SpanOf(codes), begin, end, columns, 2),
                                BytesOfRows(SpanOf(scales), begin, end, columns, kBlock), columns,
                                global_scale,
                                std::span(values.data_ptr<float>() + begin * columns,
                                          static_cast<size_t>((end - begin) * columns)));
  });
  return values;
}

float AmaxOf(const at::Tensor& values) {
  if (!values.device().is_cpu()) {
    const auto [least, most] = at::aminmax(values);
    return at::maximum(least.neg(), most).item().toFloat();
  }
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
