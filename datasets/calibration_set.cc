#include "datasets/calibration_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "datasets/document_encoder.h"
#include "datasets/document_index.h"
#include "datasets/seeded_random.h"
#include "datasets/sequence_stream.h"
#include "datasets/source_shares.h"

namespace vernier::datasets {
namespace {

// Both sizes stay below 2^31, so that lengths fit int32 and the product fits int64.
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();

void RequireSize(std::string_view field, int64_t value, int64_t least) {
  if (value >= least && value <= kMaxSize) return;
  throw Error(ErrorCode::kBadDataset, field,
              fmt::format("{} is outside {}..{}", value, least, kMaxSize), "Correct the number");
}

void CheckSpec(const CalibrationSpec& spec) {
  RequireSize("samples", spec.samples, 1);
  RequireSize("sequence_length", spec.sequence_length, 2);
  if (spec.sources.empty()) {
    throw Error(ErrorCode::kBadDataset, "sources", "there is no calibration source",
                "Name at least one file or directory");
  }
  for (const DataSource& source : spec.sources) {
    if (std::isfinite(source.weight) && source.weight > 0) continue;
    throw Error(ErrorCode::kBadDataset, source.path.string(),
                fmt::format("the weight {} is not a positive number", source.weight),
                "Give the source a weight above 0, or leave it out");
  }
}

// Sequences taken from several sources by weight.
class Mixture {
 public:
  Mixture(const CalibrationSpec& spec, const DocumentEncoder& encoder, SeededRandom& random) {
    for (const DataSource& source : spec.sources) {
      DocumentStream documents(DocumentIndex::Scan(source), encoder, random.Next());
      streams_.emplace_back(std::move(documents), spec.packing, spec.sequence_length);
      weights_.push_back(source.weight);
    }
  }

  // At most `count` sequences; fewer only when every source is used up.
  std::vector<TokenIds> Take(int64_t count) {
    std::vector<TokenIds> taken;
    const auto missing = [&] { return count - static_cast<int64_t>(taken.size()); };
    while (missing() > 0 && std::ranges::max(weights_) > 0) {
      const std::vector<int64_t> shares = DivideByWeight(missing(), weights_);
      for (size_t i = 0; i < streams_.size(); ++i) TakeShare(i, shares[i], taken);
    }
    for (size_t i = 0; i < streams_.size() && missing() > 0; ++i) {
      if (auto rest = streams_[i].TakeRest()) taken.push_back(std::move(*rest));
    }
    return taken;
  }

 private:
  // A source that cannot give its share loses its weight.
  void TakeShare(size_t source, int64_t share, std::vector<TokenIds>& taken) {
    for (; share > 0; --share) {
      std::optional<TokenIds> sequence = streams_[source].Next();
      if (!sequence) {
        weights_[source] = 0;
        return;
      }
      taken.push_back(std::move(*sequence));
    }
  }

  std::vector<SequenceStream> streams_;
  std::vector<double> weights_;
};

[[noreturn]] void ThrowTooLittle(const CalibrationSpec& spec, size_t found) {
  std::vector<std::string> names;
  for (const DataSource& source : spec.sources) names.push_back(source.path.string());
  const bool packed = spec.packing == Packing::kPack;
  throw Error(ErrorCode::kTooLittleData, JoinNames(names),
              packed ? fmt::format("{} sequences of up to {} tokens for {} samples", found,
                                   spec.sequence_length, spec.samples)
                     : fmt::format("{} documents for {} samples", found, spec.samples),
              packed ? "Add data, or lower samples or sequence_length"
                     : "Add data, lower samples, or pack documents instead of truncating them");
}

std::string Fingerprint(const CalibrationSet& set) {
  Hasher hasher;
  hasher.Update(fmt::format("{}x{};", set.samples, set.sequence_length));
  hasher.Update(std::as_bytes(std::span(set.ids)));
  hasher.Update(std::as_bytes(std::span(set.lengths)));
  return hasher.Hex();
}

CalibrationSet Pad(const std::vector<TokenIds>& sequences, int64_t sequence_length) {
  CalibrationSet set;
  set.samples = static_cast<int64_t>(sequences.size());
  set.sequence_length = sequence_length;
  set.ids.reserve(sequences.size() * static_cast<size_t>(sequence_length));
  for (const TokenIds& sequence : sequences) {
    set.lengths.push_back(static_cast<int32_t>(sequence.size()));
    set.ids.insert(set.ids.end(), sequence.begin(), sequence.end());
    set.ids.resize(set.lengths.size() * static_cast<size_t>(sequence_length));
  }
  set.fingerprint = Fingerprint(set);
  return set;
}

}  // namespace

int64_t CalibrationSet::RealTokens() const {
  int64_t tokens = 0;
  for (const int32_t length : lengths) tokens += length;
  return tokens;
}

std::span<const int32_t> CalibrationSet::Sample(int64_t sample) const {
  assert(sample >= 0 && sample < samples);
  return std::span(ids).subspan(static_cast<size_t>(sample * sequence_length),
                                static_cast<size_t>(sequence_length));
}

void KeepSamples(int64_t samples, CalibrationSet& tokens) {
  tokens.samples = std::min(tokens.samples, samples);
  tokens.ids.resize(static_cast<size_t>(tokens.samples * tokens.sequence_length));
  tokens.lengths.resize(static_cast<size_t>(tokens.samples));
}

CalibrationSet BuildCalibrationSet(const CalibrationSpec& spec, const TokenizerOrError& tokenizer) {
  CheckSpec(spec);
  const DocumentEncoder encoder(tokenizer, spec.chat_format);
  SeededRandom random(spec.seed);
  std::vector<TokenIds> sequences = Mixture(spec, encoder, random).Take(spec.samples);
  if (static_cast<int64_t>(sequences.size()) < spec.samples) {
    ThrowTooLittle(spec, sequences.size());
  }
  random.Shuffle(sequences);
  return Pad(sequences, spec.sequence_length);
}

}  // namespace vernier::datasets
