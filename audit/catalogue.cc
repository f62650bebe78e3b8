#include "audit/catalogue.h"

#include <array>

namespace vernier::audit {
namespace {

// docs/audit.md holds the same table; a test compares them, and both with the rules of the source.
constexpr std::array<Rule, 29> kRules = {{
    {"B01", "NVFP4 block scales are numbers above or equal to zero",
     "a NaN or negative scale makes its block NaN or turns its signs"},
    {"B02", "a block whose scale is zero holds only zeros", "the values below it are lost"},
    {"B03", "E8M0 scales are not NaN", "their blocks are NaN"},
    {"B04", "tensors have exactly the dtypes and shapes of their format",
     "loaders convert and narrow in silence, and read garbage"},
    {"B05", "no stored value is NaN or infinite", "one of them reaches every later layer"},
    {"C01", "every tensor of the source is carried, converted or dropped by a rule",
     "something was lost or invented on the way"},
    {"C02", "carried tensors have the bytes of the source, converted ones its shape",
     "the checkpoint is not what its source was"},
    {"C03",
     "config.json describes the tensors that are there, in sizes that engines have kernels for",
     "engines fail, or build another model than the weights belong to"},
    {"J01", "a journal belongs to the checkpoints that it is given with",
     "nothing of it is used, and it is begun anew"},
    {"J02", "every weight is in a format that the audit judges",
     "nothing is said about it, good or bad"},
    {"S01", "no expert's input scale is far from those of its layer",
     "kernels that take the largest of a layer lose precision for all other experts"},
    {"S02", "every expert saw calibration tokens", "its input scale is borrowed from others"},
    {"S03", "few values lie beyond what their block can hold",
     "the global scale is too small and clips"},
    {"S04", "few blocks became zero that were not", "small values are lost"},
    {"V01", "the projections of an expert that are fused share their scales",
     "engines use one of the two for both"},
    {"V02", "every quantised weight has its scales, finite and above zero",
     "engines read memory that was never set, or divide by zero"},
    {"V03", "MTP weights are read in the format that they have",
     "speculative decoding accepts almost nothing, or loading fails"},
    {"V04", "the output head is excluded exactly when it is not quantised",
     "loading fails, or the head reads garbage"},
    {"V05",
     "every engine reads every module in the format that it is stored in, and has code for it",
     "modules load as something else, in silence where shapes agree, or not at all"},
    {"V06", "the MTP layers that config.json announces are there, and no others",
     "speculative decoding fails to load"},
    {"V07",
     "scales of a quantised key/value cache come in pairs, under names that engines read, and "
     "reach them",
     "they are ignored, or loading fails"},
    {"V08", "dense projections that are fused share their format and scales",
     "engines take the largest scale for all, and inflate the others"},
    {"V09", "experts are complete, separate, two-dimensional and alike",
     "loading fails, or experts stay uninitialised"},
    {"V10", "routers, norms and tiny or delicate weights are not NVFP4",
     "accuracy collapses, or kernels refuse"},
    {"V11", "weights and their scale blocks can be cut for the devices that serve them",
     "loading fails on that number of devices"},
    {"V12", "dequantised values are close to the source's", "the weight was written wrongly"},
    {"V13",
     "the configurations are there, complete, and agree with each other, the weights and the index",
     "an engine refuses the checkpoint, or follows the other file"},
    {"V14", "a configuration speaks once about each module",
     "readers resolve the contradiction differently"},
    {"V15", "a DeepSeek-V4 checkpoint has the names, dtypes and fields of its published layout",
     "engines choose another path and misread the experts"},
}};

}  // namespace

std::span<const Rule> AllRules() { return kRules; }

}  // namespace vernier::audit
