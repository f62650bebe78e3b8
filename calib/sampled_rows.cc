#include "calib/sampled_rows.h"

#include <vector>

#include "calib/encoded_weight.h"

namespace vernier::calib {

at::Tensor SampleWeightRows(const checkpoint::SourceModel& source,
                            const checkpoint::WeightReader& reader, size_t weight) {
  constexpr int64_t kStretches = 8, kLength = kSampledRows / kStretches;
  const checkpoint::LogicalWeight& values = source.layout.weights[weight];
  if (values.rows() <= kSampledRows) {
    return ReadWeightRows(source, reader, values, {}, 0, values.rows());
  }
  std::vector<at::Tensor> parts;
  for (int64_t i = 0; i < kStretches; ++i) {
    const int64_t first = (values.rows() - kLength) * i / (kStretches - 1);
    parts.push_back(ReadWeightRows(source, reader, values, {}, first, kLength));
  }
  return at::cat(parts);
}

}  // namespace vernier::calib
