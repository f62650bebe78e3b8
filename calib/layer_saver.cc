#include "calib/layer_saver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace vernier::calib {
namespace {

constexpr std::array kParts = {
    LayerPart::kMiddle,         LayerPart::kExpertInput,    LayerPart::kSum, LayerPart::kMix,
    LayerPart::kRoutingExperts, LayerPart::kRoutingWeights, LayerPart::kOut};
static_assert(kParts.size() == kLayerParts);

std::optional<LayerPart> PartFromName(std::string_view name) {
  const auto it = std::ranges::find(kParts, name, LayerPartName);
  return it == kParts.end() ? std::nullopt : std::optional(*it);
}

[[noreturn]] void FailPart(const run::Store& store, const run::SavedPart& part,
                           std::string_view problem) {
  throw Error(ErrorCode::kStoreCorrupt, (store.run_dir() / part.file_name).string(), problem,
              "The layer is begun anew");
}

std::set<std::string> FileNames(const run::PartialLayer& partial) {
  std::set<std::string> names;
  for (const run::SavedPart& part : partial.parts) names.insert(part.file_name);
  return names;
}

}  // namespace

void LayerSaver::BeginLayer(int64_t layer) {
  layer_ = layer;
  saved_.clear();
}

std::optional<LayerSaver::Resumed> LayerSaver::Resume(int64_t layer, const LayerLoop& loop,
                                                      std::shared_ptr<SampleBuffer> in) {
  BeginLayer(layer);
  std::optional<run::PartialLayer> partial = run::LoadPartialLayer(store_);
  if (!partial) return std::nullopt;
  try {
    const std::optional<LayerStage> stage = LayerStageFromName(partial->stage);
    if (partial->layer != layer || !stage) {
      throw Error(ErrorCode::kStoreCorrupt, store_.run_dir().string(),
                  fmt::format("its saved place, {} of layer {}, is none", partial->stage, layer),
                  "The layer is begun anew");
    }
    Resumed resumed{.state = loop.MakeState(layer, std::move(in), FileNames(*partial)),
                    .so_far = {.seconds = partial->seconds,
                               .statistics = run::StatisticsOfUnit(store_, partial->layer),
                               .non_finites = std::move(partial->non_finites)}};
    RequireAllStatistics(resumed.so_far.statistics);
    resumed.state.MoveTo({*stage, partial->next});
    LoadParts(*partial, resumed.state);
    return resumed;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNoSpace) throw;
    store_.LogEvent("discard", error.what());
    run::DiscardPartialLayer(store_);
    BeginLayer(layer);
    return std::nullopt;
  }
}

// A module with one statistic of a site has all that are recorded there. Otherwise a program that
// recorded fewer saved it, and what is missing would be of the rest of the layer alone.
void LayerSaver::RequireAllStatistics(const std::vector<run::StatisticRow>& rows) const {
  std::map<std::pair<std::string_view, statistics::Site>, std::ptrdiff_t> recorded;
  for (const run::StatisticRow& row : rows) {
    const statistics::Statistic* statistic = statistics::FindStatistic(known_, row.name);
    if (statistic != nullptr) ++recorded[{row.module, statistic->site}];
  }
  for (const auto& [place, count] : recorded) {
    if (count == CountRecorded(place.first, place.second)) continue;
    throw Error(ErrorCode::kStoreCorrupt, std::string(place.first),
                "an older program saved its layer without statistics that this one records",
                "The layer is begun anew");
  }
}

std::ptrdiff_t LayerSaver::CountRecorded(std::string_view module, statistics::Site site) const {
  return std::ranges::count_if(known_, [&](const statistics::Statistic& statistic) {
    return statistic.site == site && (!records_ || records_(module, statistic));
  });
}

void LayerSaver::LoadParts(const run::PartialLayer& partial, LayerState& state) {
  // All are checked before any is used: in memory, some share a buffer with the layer's input.
  std::vector<SampleBuffer> files;
  for (const run::SavedPart& saved : partial.parts) {
    const std::optional<LayerPart> part = PartFromName(saved.part);
    if (!part || !state.Has(*part) || saved.first < 0 || saved.samples < 0 ||
        saved.first + saved.samples > state.shape().samples) {
      FailPart(store_, saved, "is not a part of this layer");
    }
    SampleBuffer& buffer = state.part(*part);
    files.push_back(buffer.OpenSame(store_.run_dir() / saved.file_name));
    const SampleBuffer& holder = buffer.in_file() ? buffer : files.back();
    if (holder.Hash(saved.first, saved.samples) != saved.hash) {
      FailPart(store_, saved, "does not have the hash in the store");
    }
    saved_[*part] = {{saved.first, saved.samples}, saved.file_name, state.sum_version()};
  }
  for (const LayerPart part : kParts) {
    if (Unsaved(part, state).empty()) continue;
    throw Error(ErrorCode::kStoreCorrupt, store_.run_dir().string(),
                fmt::format("the saved layer lacks its {}", LayerPartName(part)),
                "The layer is begun anew");
  }
  for (size_t i = 0; i < files.size(); ++i) {
    const run::SavedPart& saved = partial.parts[i];
    SampleBuffer& buffer = state.part(*PartFromName(saved.part));
    if (!buffer.in_file()) buffer.CopyFrom(files[i], saved.first, saved.samples);
  }
  state.ProtectSum();
}

bool LayerSaver::IsCurrent(LayerPart part, const LayerState& state) const {
  const auto it = saved_.find(part);
  if (it == saved_.end()) return false;
  return part != LayerPart::kSum || it->second.sum_version == state.sum_version();
}

SampleRange LayerSaver::Unsaved(LayerPart part, const LayerState& state) const {
  const SampleRange needed = state.Needed(part);
  if (!IsCurrent(part, state)) return needed;
  const int64_t first = std::max(needed.first, saved_.at(part).range.end());
  return {first, std::max<int64_t>(0, needed.end() - first)};
}

uint64_t LayerSaver::UnsavedBytes(const LayerState& state) const {
  uint64_t bytes = 0;
  for (const LayerPart part : kParts) {
    const SampleRange unsaved = Unsaved(part, state);
    if (unsaved.empty()) continue;
    bytes += static_cast<uint64_t>(unsaved.count) * state.part(part).sample_bytes();
  }
  return bytes;
}

// Sums in memory change as a whole: they take turns between two files, so that the saved one stays
// until the next is committed.
std::string LayerSaver::FileFor(LayerPart part, const LayerState& state) const {
  if (const auto path = state.part(part).path(); !path.empty()) return path.filename().string();
  const std::string first = LayerPartFileName(layer_, part, /*spare=*/false);
  const auto it = saved_.find(part);
  if (part != LayerPart::kSum || it == saved_.end()) return first;
  if (IsCurrent(part, state)) return it->second.file_name;
  const std::string second = LayerPartFileName(layer_, part, /*spare=*/true);
  return it->second.file_name == first ? second : first;
}

void LayerSaver::Save(LayerState& state, SoFar so_far) {
  run::PartialLayer partial{.layer = static_cast<int>(layer_),
                            .stage = std::string(LayerStageName(state.place().stage)),
                            .next = state.place().next,
                            .seconds = so_far.seconds,
                            .non_finites = std::move(so_far.non_finites),
                            .parts = {}};
  std::map<LayerPart, SavedState> saved;
  for (const LayerPart part : kParts) {
    const SampleRange needed = state.Needed(part);
    if (needed.empty()) continue;
    const std::string file_name = FileFor(part, state);
    const SampleRange unsaved = Unsaved(part, state);
    const SampleBuffer& buffer = state.part(part);
    if (!unsaved.empty()) {
      buffer.SaveTo(store_.run_dir() / file_name, unsaved.first, unsaved.count);
    }
    partial.parts.push_back({.part = std::string(LayerPartName(part)),
                             .file_name = file_name,
                             .first = needed.first,
                             .samples = needed.count,
                             .hash = buffer.Hash(needed.first, needed.count)});
    saved[part] = {needed, file_name, state.sum_version()};
  }
  SyncDirectory(store_.run_dir());
  run::SavePartialLayer(store_, partial, so_far.statistics, so_far.decided);
  for (const auto& [part, old] : std::exchange(saved_, std::move(saved))) {
    std::error_code ignored;  // it only takes room
    if (!saved_.contains(part)) std::filesystem::remove(store_.run_dir() / old.file_name, ignored);
  }
  state.ProtectSum();
}

}  // namespace vernier::calib
