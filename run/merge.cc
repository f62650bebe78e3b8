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
#include "run/sqlite.h"

namespace vernier::run {
namespace {

// Fields without which statistics are of different things.
constexpr std::array<std::string_view, 4> kMustAgree = {"source", "observed_modules", "numerics",
                                                        "calibration.dtype"};

struct Parent {
  std::filesystem::path path;
  Store store;
  RunIdentity identity;
  std::vector<InputAmax> inputs;
  std::string fingerprint;
};

std::string Fingerprint(const RunIdentity& identity, const std::vector<InputAmax>& inputs) {
  Hasher hasher;
  for (const auto& [field, value] : identity) hasher.Update(fmt::format("{}={}\n", field, value));
  for (const InputAmax& input : inputs) {
    hasher.Update(fmt::format("{} {} {:08x} {}\n", input.layer, input.module,
                              std::bit_cast<uint32_t>(input.amax), input.tokens));
  }
  return hasher.Hex();
}

Parent OpenParent(const std::filesystem::path& path) {
  Store store = Store::OpenForReading(path);
  if (!store.CalibrationFinished()) {
    throw Error(ErrorCode::kNotCalibrated, path.string(), "its calibration is not finished",
                "Finish it with `vernier calibrate`; it goes on where it stopped");
  }
  RunIdentity identity = store.Identity();
  std::vector<InputAmax> inputs = store.Inputs();
  std::string fingerprint = Fingerprint(identity, inputs);
  return {path, std::move(store), std::move(identity), std::move(inputs), std::move(fingerprint)};
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

// The layers with their statistics; layers take the time that they took in all parents.
std::vector<LayerResult> MergedLayers(const std::vector<Parent>& parents) {
  std::map<int, LayerResult> layers;
  std::map<std::pair<int, std::string>, InputAmax> merged;
  for (const Parent& parent : parents) {
    Statement rows = parent.store.database().Prepare("SELECT layer, seconds FROM layer");
    while (rows.Step()) {
      const int layer = static_cast<int>(rows.Integer(0));
      layers[layer].layer = layer;
      layers[layer].seconds += rows.Real(1);
    }
    for (const InputAmax& input : parent.inputs) {
      InputAmax& sum =
          merged.try_emplace({input.layer, input.module}, InputAmax{input.module, input.layer})
              .first->second;
      sum.amax = std::max(sum.amax, input.amax);
      sum.tokens += input.tokens;
    }
  }
  for (auto& [key, input] : merged) layers[input.layer].inputs.push_back(std::move(input));
  std::vector<LayerResult> results;
  for (auto& [layer, result] : layers) results.push_back(std::move(result));
  return results;
}

// Activations (layers from 0) were others in each parent; elements of source tensors are the same.
void MergeNonFinite(const Database& from, const Database& into) {
  Statement rows = from.Prepare("SELECT layer, module, sample, value, count FROM non_finite");
  Statement insert = into.Prepare(
      "INSERT INTO non_finite (layer, module, sample, value, count) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT DO UPDATE SET count ="
      " CASE WHEN layer < 0 THEN max(count, excluded.count) ELSE count + excluded.count END");
  while (rows.Step()) {
    insert.Bind(1, rows.Integer(0))
        .Bind(2, rows.Text(1))
        .Bind(3, rows.Integer(2))
        .Bind(4, rows.Text(3))
        .Bind(5, rows.Integer(4))
        .Run();
  }
}

// What is known of the source's tensors, so that an export from the merge notices a change too.
std::map<std::string, std::string> MergedSourceTensors(const std::vector<Parent>& parents) {
  std::map<std::string, std::string> hashes;
  for (const Parent& parent : parents) {
    Statement rows = parent.store.database().Prepare("SELECT name, hash FROM source_tensor");
    while (rows.Step()) {
      const auto [it, is_new] = hashes.try_emplace(rows.Text(0), rows.Text(1));
      if (is_new || it->second == rows.Text(1)) continue;
      throw Error(
          ErrorCode::kSourceChanged, parent.path.string(),
          fmt::format("its calibration read other bytes of {} than another one's", it->first),
          "Merge calibrations of one source");
    }
  }
  return hashes;
}

void Fill(Store& store, const RunIdentity& identity, const std::vector<Parent>& parents) {
  const std::map<std::string, std::string> tensors = MergedSourceTensors(parents);
  const std::vector<LayerResult> layers = MergedLayers(parents);
  const Database& database = store.database();
  Transaction transaction(database);
  SaveIdentity(database, identity);
  for (const LayerResult& layer : layers) InsertLayer(database, layer);
  for (const Parent& parent : parents) MergeNonFinite(parent.store.database(), database);
  Statement insert = database.Prepare("INSERT INTO source_tensor VALUES (?1, ?2)");
  for (const auto& [name, hash] : tensors) insert.Bind(1, name).Bind(2, hash).Run();
  store.SetTotalLayers(static_cast<int64_t>(layers.size()));
  store.FinishCalibration();
  transaction.Commit();
}

}  // namespace

Store MergeStores(const std::vector<std::filesystem::path>& parents,
                  const std::filesystem::path& into) {
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
  Fill(store, identity, opened);
  return store;
}

}  // namespace vernier::run
