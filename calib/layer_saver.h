// Saves an unfinished layer to the run directory, and goes on from there.
#ifndef VERNIER_CALIB_LAYER_SAVER_H_
#define VERNIER_CALIB_LAYER_SAVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calib/layer_loop.h"
#include "calib/layer_state.h"
#include "calib/statistics/registry.h"
#include "run/partial_layer.h"
#include "run/store.h"

namespace vernier::calib {

// Knows what of the current layer is durable, and writes only what is not. Not thread-safe.
class LayerSaver {
 public:
  // What was spent on the layer and seen of it.
  struct SoFar {
    double seconds = 0;
    std::vector<run::StatisticRow> statistics = {};
    std::vector<run::NonFiniteRecord> non_finites = {};
    run::Decided decided = {};  // since the last save
  };

  // Whether a statistic of a module's site is recorded of it.
  using Records =
      std::function<bool(std::string_view module, const statistics::Statistic& statistic)>;

  // `known`: the statistics that are recorded, of modules of which `records` says so; empty: of
  // all.
  explicit LayerSaver(run::Store& store, statistics::Registry known = statistics::AllStatistics(),
                      Records records = {})
      : store_(store), known_(known), records_(std::move(records)) {}

  // The layer that a save would be continued from, nothing without one. Damaged or missing files
  // are noticed by their hashes, and statistics that an older program did not record by their
  // absence: the save is then forgotten (and an event says so), because the layer can be begun anew
  // from the hidden states before it.
  struct Resumed {
    LayerState state;
    SoFar so_far = {};
  };
  std::optional<Resumed> Resume(int64_t layer, const LayerLoop& loop,
                                std::shared_ptr<SampleBuffer> in);
  void BeginLayer(int64_t layer);

  // Bytes that Save would write now.
  uint64_t UnsavedBytes(const LayerState& state) const;
  // Makes everything that the rest of the layer needs durable, and commits the place.
  void Save(LayerState& state, SoFar so_far);

  // Of a layer that is done: the samples of kOut that are not in its file.
  SampleRange UnsavedOut(const LayerState& state) const { return Unsaved(LayerPart::kOut, state); }

 private:
  struct SavedState {
    SampleRange range;
    std::string file_name;
    int64_t sum_version = 0;
  };

  bool IsCurrent(LayerPart part, const LayerState& state) const;
  SampleRange Unsaved(LayerPart part, const LayerState& state) const;
  std::string FileFor(LayerPart part, const LayerState& state) const;
  void LoadParts(const run::PartialLayer& partial, LayerState& state);
  void RequireAllStatistics(const std::vector<run::StatisticRow>& rows) const;
  // How many statistics of its site are recorded of a module.
  std::ptrdiff_t CountRecorded(std::string_view module, statistics::Site site) const;

  run::Store& store_;
  statistics::Registry known_;
  Records records_;
  int64_t layer_ = 0;
  std::map<LayerPart, SavedState> saved_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYER_SAVER_H_
