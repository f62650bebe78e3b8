#include "run/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "run/clamped_element.h"
#include "run/module_record.h"
#include "run/source_ledger.h"
#include "run/sqlite.h"

namespace vernier::run {
namespace {

// Fields without which statistics are of different things.
constexpr std::array<std::string_view, 5> kMustAgree = {
    "source", "observed_modules", "weighted_modules", "numerics", "calibration.dtype"};

struct Parent {
  std::filesystem::path path;
  Store store;
  RunIdentity identity;
  std::vector<StatisticKey> statistics;
  std::string fingerprint;
};

// Rows of amax count as they did when there was nothing else: merges that are there already stay
// what they are.
std::string Fingerprint(const Store& store, const RunIdentity& identity,
                        const std::vector<StatisticKey>& statistics) {
  Hasher hasher;
  for (const auto& [field, value] : identity) hasher.Update(fmt::format("{}={}\n", field, value));
  for (const InputAmax& input : store.Inputs()) {
    hasher.Update(fmt::format("{} {} {:08x} {}\n", input.layer, input.module,
                              std::bit_cast<uint32_t>(input.amax), input.tokens));
  }
  for (const StatisticKey& key : statistics) {
    if (IsAmax(key.name)) continue;
    hasher.Update(
        fmt::format("{} {} {} {} {}\n", key.unit, key.module, key.name, key.version, key.length));
    hasher.Update(ReadStatistic(store, key));
  }
  return hasher.Hex();
}

Parent OpenParent(const std::filesystem::path& path) {
  Store store = Store::OpenForReading(path);
  if (!store.CalibrationFinished()) {
    throw Error(ErrorCode::kNotCalibrated, path.string(), "its calibration is not finished",
                "Finish it with `vernier calibrate`; it goes on where it stopped");
  }
  if (!ListSolvedWeights(store.database()).empty()) {
    throw Error(ErrorCode::kStoreIdentity, path.string(),
                "it quantised weights by gptq, which cannot be made of several calibrations",
                "Merge calibrations of recipes without gptq");
  }
  if (!ListFolds(store.database()).empty()) {
    throw Error(ErrorCode::kStoreIdentity, path.string(),
                "it chose folds by its own samples (smooth), which cannot be made of several "
                "calibrations",
                "Merge calibrations of recipes without smooth (--effort fast)");
  }
  if (!ListFormatErrors(store.database()).empty()) {
    throw Error(ErrorCode::kStoreIdentity, path.string(),
                "it measured formats by its own samples (budget), which cannot be made of several "
                "calibrations",
                "Merge calibrations of recipes without a budget");
  }
  RunIdentity identity = store.Identity();
  std::vector<StatisticKey> statistics = ListStatistics(store.database());
  std::string fingerprint = Fingerprint(store, identity, statistics);
  return {path, std::move(store), std::move(identity), std::move(statistics),
          std::move(fingerprint)};
}

// In an order that does not depend on the arguments'.
std::vector<Parent> OpenParents(const std::vector<std::filesystem::path>& paths) {
  std::vector<Parent> parents;
  for (const std::filesystem::path& path : paths) parents.push_back(OpenParent(path));
  std::ranges::sort(parents, {}, &Parent::fingerprint);
  return parents;
}

void RequireAgreement(const Parent& first, const Parent& second) {
  const auto relevant = [](const RunIdentity& identity) {
    RunIdentity fields;
    for (const std::string_view field : kMustAgree) {
      const auto it = identity.find(std::string(field));
      if (it != identity.end()) fields.insert(*it);
    }
    return fields;
  };
  const std::vector<std::string> differences = IdentityDifferences(
      relevant(first.identity), relevant(second.identity), {.stored = "there", .now = "here"});
  if (differences.empty()) return;
  throw Error(ErrorCode::kStoreIdentity, second.path.string(),
              fmt::format("it cannot be merged with {}: {}", first.path.string(),
                          JoinNames(differences, "; ")),
              "Merge calibrations of one source and one recipe's modules");
}

// The fingerprints of what the merge is made from.
std::string Origins(const std::vector<Parent>& parents) {
  std::set<std::string> origins;
  for (const Parent& parent : parents) {
    const auto merged = parent.identity.find(std::string(kMergedFrom));
    const std::vector<std::string> own =
        merged == parent.identity.end()
            ? std::vector<std::string>{parent.fingerprint}
            : ParseJson(merged->second, parent.path.string()).get<std::vector<std::string>>();
    for (const std::string& origin : own) {
      if (origins.insert(origin).second) continue;
      throw Error(ErrorCode::kBadArgument, parent.path.string(),
                  "the same statistics are given twice, and their tokens would count twice",
                  "Name every store once");
    }
  }
  return Json(origins).dump();
}

RunIdentity MergedIdentity(const std::vector<Parent>& parents) {
  std::set<std::string> fields;
  for (const Parent& parent : parents) {
    for (const auto& [field, value] : parent.identity) fields.insert(field);
  }
  RunIdentity merged;
  for (const std::string& field : fields) {
    std::vector<const std::string*> values;
    for (const Parent& parent : parents) {
      const auto it = parent.identity.find(field);
      values.push_back(it == parent.identity.end() ? nullptr : &it->second);
    }
    merged[field] = MergeValues(values);
  }
  merged[std::string(kMergedFrom)] = Origins(parents);
  return merged;
}

// Layers take the time that they took in all parents.
std::map<int, double> MergedLayers(const std::vector<Parent>& parents) {
  std::map<int, double> seconds;
  for (const Parent& parent : parents) {
    for (const FinishedLayer& layer : FinishedLayers(parent.store.database())) {
      seconds[layer.layer] += layer.seconds;
    }
  }
  return seconds;
}

// One value, and where it is.
struct Source {
  const Parent* parent = nullptr;
  const StatisticKey* key = nullptr;
};
using SourcesByName = std::map<std::pair<std::string, std::string>, std::vector<Source>>;

// A layer's statistics by module and name; the values of one in the parents' order.
std::map<int, SourcesByName> SourcesByLayer(const std::vector<Parent>& parents) {
  std::map<int, SourcesByName> layers;
  for (const Parent& parent : parents) {
    for (const StatisticKey& key : parent.statistics) {
      layers[key.unit][{key.module, key.name}].push_back({&parent, &key});
    }
  }
  return layers;
}

StatisticRow MergedRow(const std::vector<Source>& sources, statistics::Registry registry) {
  statistics::Value merged;
  for (const Source& source : sources) {
    const StatisticValue read = ReadValue(source.parent->store, *source.key, registry);
    statistics::Merge(read.statistic, merged, read.value, source.parent->path.string());
  }
  const StatisticKey& key = *sources.front().key;
  return {key.unit, key.module, key.name, key.version, statistics::ToBytes(merged)};
}

// One value is in memory at a time.
void FillStatistics(const Store& store, const std::vector<Parent>& parents,
                    statistics::Registry registry) {
  for (const auto& [layer, by_name] : SourcesByLayer(parents)) {
    StatisticWriter writer(store, layer);
    for (const auto& [name, sources] : by_name) writer.Add(MergedRow(sources, registry));
    writer.Finish();
  }
}

// What is known of the source's tensors, so that an export from the merge notices a change too.
std::map<std::string, std::string> MergedSourceTensors(const std::vector<Parent>& parents) {
  std::map<std::string, std::string> hashes;
  for (const Parent& parent : parents) {
    for (const auto& [tensor, hash] : LoadTensorHashes(parent.store.database())) {
      const auto [it, is_new] = hashes.try_emplace(tensor, hash);
      if (is_new || it->second == hash) continue;
      throw Error(
          ErrorCode::kSourceChanged, parent.path.string(),
          fmt::format("its calibration read other bytes of {} than another one's", it->first),
          "Merge calibrations of one source");
    }
  }
  return hashes;
}

void Fill(Store& store, const RunIdentity& identity, const std::vector<Parent>& parents,
          statistics::Registry registry) {
  const std::map<std::string, std::string> tensors = MergedSourceTensors(parents);
  const std::map<int, double> layers = MergedLayers(parents);
  const Database& database = store.database();
  Transaction transaction(database);
  SaveIdentity(database, identity);
  for (const auto& [layer, seconds] : layers) InsertLayer(database, layer, seconds, {});
  FillStatistics(store, parents, registry);
  SaveModules(database, ListModules(parents.front().store.database()));
  for (const Parent& parent : parents) {
    // Activations were others in each parent; elements of source tensors are the same.
    AddNonFinite(database, LoadNonFinite(parent.store.database()));
    for (const ClampedTensor& clamped : LoadClampedTensors(parent.store.database())) {
      SaveClampedTensor(database, clamped);
    }
  }
  for (const auto& [tensor, hash] : tensors) SaveTensorHash(database, tensor, hash);
  store.SetTotalLayers(static_cast<int64_t>(layers.size()));
  store.FinishCalibration();
  transaction.Commit();
}

}  // namespace

Store MergeStores(const std::vector<std::filesystem::path>& parents,
                  const std::filesystem::path& into, statistics::Registry registry) {
  const std::vector<Parent> opened = OpenParents(parents);
  for (const Parent& parent : opened) RequireAgreement(opened.front(), parent);
  const RunIdentity identity = MergedIdentity(opened);

  Store store = Store::Open(into);
  const RunIdentity present = store.Identity();
  if (present == identity) return store;
  if (!present.empty() || store.LastLayer()) {
    throw Error(ErrorCode::kBadArgument, into.string(), "it holds the store of another run",
                "Name a new run directory");
  }
  Fill(store, identity, opened, registry);
  return store;
}

}  // namespace vernier::run
