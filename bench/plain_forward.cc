// A whole model in memory, and a forward pass of it batch by batch: what a calibration costs beyond
// that. The same products, without layers that stream, hidden states that are kept, or observers.
//   plain_forward SRC IDS.safetensors [--dtype bfloat16|float32] [--batch-size N] [--threads N]
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/seconds_since.h"
#include "calib/families/decoder.h"
#include "calib/resident_model.h"
#include "calib/tensor_loader.h"
#include "calib/trace.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {
namespace {

constexpr int64_t kQueryChunk = 256;

std::vector<ResidentLayer> LoadAll(const Decoder& decoder) {
  std::vector<ResidentLayer> layers;
  for (int64_t layer = 0; layer < decoder.Layers(); ++layer) {
    layers.emplace_back(decoder, layer, kQueryChunk, at::kCPU);
  }
  return layers;
}

at::Tensor Forward(const Decoder& decoder, const std::vector<ResidentLayer>& layers,
                   const at::Tensor& ids) {
  const TokenBatch batch{ids, {}};
  Tap nobody;
  at::Tensor hidden = decoder.Embed(ids);
  for (const ResidentLayer& layer : layers) {
    hidden = layer.RunFfn(layer.dense().Attend(hidden, batch, nobody), batch, nobody);
  }
  return hidden;
}

double PeakMebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

int Main(int argc, char** argv) {
  CLI::App app("Times a forward pass of a whole model in memory");
  std::string directory, ids_file, dtype = "bfloat16";
  int64_t batch_size = 8;
  int threads = 0;
  app.add_option("SRC", directory)->required();
  app.add_option("IDS", ids_file, "Safetensors file with tensor input_ids [B, S]")->required();
  app.add_option("--dtype", dtype)->check(CLI::IsMember({"bfloat16", "float32"}));
  app.add_option("--batch-size", batch_size)->check(CLI::PositiveNumber);
  app.add_option("--threads", threads)->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) at::set_num_threads(threads);

  const c10::InferenceMode inference;
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(directory);
  const TensorLoader loader(source, at::kCPU, dtype == "float32" ? at::kFloat : at::kBFloat16);
  const std::unique_ptr<Decoder> decoder = MakeDecoder(loader);
  const datasets::CalibrationSet tokens = ReadTokenIds(ids_file, decoder->VocabSize());
  const at::Tensor ids =
      at::tensor(std::vector<int64_t>(tokens.ids.begin(), tokens.ids.end()), at::kLong)
          .view({tokens.samples, tokens.sequence_length});
  auto start = std::chrono::steady_clock::now();
  const std::vector<ResidentLayer> layers = LoadAll(*decoder);
  const double load = SecondsSince(start);
  start = std::chrono::steady_clock::now();
  for (int64_t first = 0; first < tokens.samples; first += batch_size) {
    Forward(*decoder, layers, ids.slice(0, first, std::min(first + batch_size, tokens.samples)));
  }
  fmt::print("load {:.2f} s, forward {:.2f} s for {} tokens, peak {:.0f} MiB\n", load,
             SecondsSince(start), ids.numel(), PeakMebibytes());
  return 0;
}

}  // namespace
}  // namespace vernier::calib

int main(int argc, char** argv) {
  try {
    return vernier::calib::Main(argc, argv);
  } catch (const vernier::Error& error) {
    fmt::print(stderr, "plain_forward: {}\n", error.what());
    return 1;
  }
}
