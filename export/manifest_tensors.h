// What became of the source's tensors, for the manifest.
#ifndef VERNIER_EXPORT_MANIFEST_TENSORS_H_
#define VERNIER_EXPORT_MANIFEST_TENSORS_H_

#include <functional>

#include "base/json.h"
#include "export/manifest.h"

namespace vernier::exporter {

// Gives `add` an entry for every tensor that the source stores, in the order of its weights; those
// that were taken apart come last (docs/manifest.md).
TensorCounts AddTensors(const ManifestContent& content,
                        const std::function<void(const Json& entry)>& add);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_MANIFEST_TENSORS_H_
