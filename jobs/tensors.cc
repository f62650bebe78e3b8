#include "jobs/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_decoder.h"
#include "checkpoint/weight_reader.h"
#include "run/statistic_rows.h"
#include "run/store.h"

namespace vernier::jobs {
namespace {

[[noreturn]] void ThrowNoTensor(std::string_view name, std::string_view where) {
  throw Error(ErrorCode::kBadArgument, name, fmt::format("is no tensor of {}", where),
              "Give a name of the list of its tensors");
}

// `rows` rows of `row_bytes` each make the tensor `name`.
void CheckRequest(std::string_view name, int64_t rows, uint64_t row_bytes, RowRange wanted,
                  size_t buffer_bytes) {
  if (wanted.begin < 0 || wanted.count < 0 || wanted.begin > rows ||
      wanted.count > rows - wanted.begin) {
    throw Error(ErrorCode::kBadArgument, name,
                fmt::format("has {} rows, and {} from row {} are asked for", rows, wanted.count,
                            wanted.begin),
                "Ask for rows that it has");
  }
  const uint64_t bytes = static_cast<uint64_t>(wanted.count) * row_bytes;
  if (bytes != buffer_bytes) {
    throw Error(ErrorCode::kBadArgument, name,
                fmt::format("{} rows take {} bytes, and there is room for {}", wanted.count, bytes,
                            buffer_bytes),
                "Give the space that its shape and dtype ask for");
  }
}

class WeightSource final : public TensorSource {
 public:
  explicit WeightSource(const std::filesystem::path& directory)
      : directory_(directory), model_(checkpoint::OpenAnySourceModel(directory)) {
    for (const checkpoint::LogicalWeight& weight : model_.layout.weights) {
      if (weight.format->decode == nullptr) continue;
      weights_.emplace(weight.name, &weight);
      list_.push_back({{"name", weight.name},
                       {"dtype", "F32"},
                       {"shape", weight.shape},
                       {"role", checkpoint::RoleName(weight.role)},
                       {"format", checkpoint::FormatName(weight.format)},
                       {"layer", weight.layer}});
    }
  }

  const Json& List() const override { return list_; }

  void Read(std::string_view name, RowRange rows, std::span<std::byte> values) const override {
    const auto found = weights_.find(name);
    if (found == weights_.end()) ThrowNoTensor(name, directory_.string());
    const checkpoint::LogicalWeight& weight = *found->second;
    const int64_t columns = checkpoint::ColumnsPerRow(weight);
    CheckRequest(name, weight.rows(), static_cast<uint64_t>(columns) * sizeof(float), rows,
                 values.size());
    const std::span numbers(reinterpret_cast<float*>(values.data()), values.size() / sizeof(float));
    if (!numbers.empty()) reader_.ReadF32(weight, rows.begin, rows.count, numbers);
  }

 private:
  std::filesystem::path directory_;
  checkpoint::SourceModel model_;
  checkpoint::WeightReader reader_{model_.checkpoint};
  std::map<std::string, const checkpoint::LogicalWeight*, std::less<>> weights_;
  Json list_ = Json::array();
};

std::string_view ElementName(statistics::ElementType type) {
  switch (type) {
    case statistics::ElementType::kF32:
      return "F32";
    case statistics::ElementType::kF64:
      return "F64";
    case statistics::ElementType::kI64:
      break;
  }
  return "I64";
}

class StatisticSource final : public TensorSource {
 public:
  explicit StatisticSource(const std::filesystem::path& run)
      : store_(run::Store::OpenForReading(run)) {
    for (run::StatisticKey& key : run::ListStatistics(store_.database())) Add(std::move(key));
  }

  const Json& List() const override { return list_; }

  void Read(std::string_view name, RowRange rows, std::span<std::byte> values) const override {
    const auto found = keys_.find(name);
    if (found == keys_.end()) ThrowNoTensor(name, store_.run_dir().string());
    const run::StatisticValue read = ReadOne(found->second);
    const std::vector<int64_t> shape = statistics::ShapeOf(read.statistic, read.value);
    const int64_t count = shape.empty() ? 1 : shape[0];
    const uint64_t row_bytes =
        count == 0 ? 0 : read.value.payload.size() / static_cast<uint64_t>(count);
    CheckRequest(name, count, row_bytes, rows, values.size());
    const auto begin = read.value.payload.begin() +
                       static_cast<std::ptrdiff_t>(static_cast<uint64_t>(rows.begin) * row_bytes);
    std::copy_n(begin, values.size(), values.begin());
  }

 private:
  run::StatisticValue ReadOne(const run::StatisticKey& key) const {
    const std::lock_guard lock(mutex_);  // a connection to SQLite is one thread's at a time
    return run::ReadValue(store_, key, statistics::AllStatistics());
  }

  void Add(run::StatisticKey key) {
    const run::StatisticValue read = ReadOne(key);
    if (read.value.payload.empty()) return;  // nothing was observed
    std::string name = fmt::format("{}.{}", key.module, read.statistic.tensor);
    list_.push_back({{"name", name},
                     {"dtype", ElementName(read.statistic.element_type)},
                     {"shape", statistics::ShapeOf(read.statistic, read.value)},
                     {"statistic", key.name},
                     {"module", key.module},
                     {"layer", key.unit},
                     {"tokens", read.value.tokens}});
    keys_.emplace(std::move(name), std::move(key));
  }

  run::Store store_;
  mutable std::mutex mutex_;
  std::map<std::string, run::StatisticKey, std::less<>> keys_;
  Json list_ = Json::array();
};

}  // namespace

std::unique_ptr<TensorSource> OpenWeights(const std::filesystem::path& checkpoint) {
  return std::make_unique<WeightSource>(checkpoint);
}

std::unique_ptr<TensorSource> OpenStatistics(const std::filesystem::path& run) {
  return std::make_unique<StatisticSource>(run);
}

}  // namespace vernier::jobs
