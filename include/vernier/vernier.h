// Vernier's jobs for C++.
//
//   vernier::ConvertSpec spec;
//   spec.source = "DeepSeek-V4-Flash";
//   spec.output = "DeepSeek-V4-Flash-NVFP4";
//   const vernier::PipelineSummary summary = vernier::Convert(spec);
//
// Fields that are left as they are take the default of the command's option of that name. Every
// summary has the whole of what is known as JSON; docs/library.md lists its fields. Functions throw
// vernier::Error and nothing else that a user can cause. They may be called from any thread.
#ifndef VERNIER_VERNIER_H_
#define VERNIER_VERNIER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/c.h"

namespace vernier {
inline namespace v0 {

// One line in what(), and its parts. Codes are stable: docs/errors.md lists them.
class VERNIER_API Error : public std::runtime_error {
 public:
  // From the JSON object of vernier_run_job.
  explicit Error(const std::string& json);
  ~Error() override;

  const std::string& code() const { return code_; }        // "VN-CKPT-003"
  const std::string& meaning() const { return meaning_; }  // of the code, whatever the occasion
  const std::string& subject() const { return subject_; }  // the file, tensor or field at fault
  const std::string& problem() const { return problem_; }
  const std::string& remedy() const { return remedy_; }

 private:
  std::string code_, meaning_, subject_, problem_, remedy_;
};

// The job was asked to stop and did; what is finished is kept.
class VERNIER_API Stopped : public Error {
 public:
  using Error::Error;
  ~Stopped() override;
};

using Progress = vernier_progress;

// Returns whether the job is to go on; otherwise it ends in Stopped. See vernier_progress_fn; what
// it throws ends the job and comes out of the function that began it.
using OnProgress = std::function<bool(const Progress&)>;

// Any job with its specification and summary as JSON.
VERNIER_API std::string RunJob(std::string_view job, const std::string& specification,
                               const OnProgress& on_progress = {});

struct InspectSpec {
  std::string checkpoint = {};
};
struct InspectSummary {
  std::string model_type = {};  // empty when config.json has none
  int64_t layers = 0, experts = 0;
  int64_t weights = 0, tensors = 0, parameters = 0;
  uint64_t bytes = 0;
  std::vector<std::string> missing = {};  // tensors that the model needs
  std::vector<std::string> notes = {};
  std::string json = {};
};
VERNIER_API InspectSummary Inspect(const InspectSpec& spec);

// A recipe file, the name of a shipped recipe, a checkpoint's directory or, empty, the default of
// the source; and values in place of its own.
struct RecipeSpec {
  std::string recipe = {};
  std::optional<std::string> source = {}, output = {}, run_dir = {};
  std::vector<std::string> data = {};
  std::optional<std::string> device = {}, device_memory = {}, host_memory = {},
                             stream_memory = {};  // "8GiB"
  std::optional<int> threads = {};
  std::optional<std::string> cpu_products = {};
  std::optional<double> save_interval = {};
  std::optional<std::string> non_finite = {}, kv_cache = {};
  std::optional<int64_t> samples = {}, sequence_length = {}, batch_size = {};
  std::optional<uint64_t> seed = {};
  std::string command = {};  // what `vernier status` shows as the way to go on; may be empty
};

struct PlanSummary {
  uint64_t source_bytes = 0, output_bytes = 0;
  uint64_t host_peak_bytes = 0, device_peak_bytes = 0;  // of a calibration
  double calibrate_seconds = 0, export_seconds = 0, validate_seconds = 0;
  std::string json = {};
};
// `probe`: measures for some seconds how fast this machine is; otherwise usual rates are taken.
VERNIER_API PlanSummary Plan(const RecipeSpec& spec, bool probe = false);

// Of the jobs that write a checkpoint or prepare one.
struct PipelineSummary {
  std::string source = {}, output = {}, run_dir = {};
  bool clean = true;  // the audit, if there was one, found no error: do not serve it otherwise
  int64_t converted_tensors = 0, carried_tensors = 0, dropped_tensors = 0;
  uint64_t output_bytes = 0;
  std::string json = {};
};
// Each goes on where an earlier one of the same specification ended.
VERNIER_API PipelineSummary Run(const RecipeSpec& spec, const OnProgress& on_progress = {});
VERNIER_API PipelineSummary Calibrate(const RecipeSpec& spec, const OnProgress& on_progress = {});
VERNIER_API PipelineSummary Export(const RecipeSpec& spec, const OnProgress& on_progress = {});

struct ConvertSpec {
  std::string source = {}, output = {};
  std::string run_dir = {}, stream_memory = {};
  std::string recipe = {};  // or:
  std::string weights = {}, method = {}, dialect = {}, importance = {};
  std::optional<double> input_scale = {};
  std::string non_finite = {}, kv_cache = {};
  std::vector<std::string> layouts = {};
  bool validate = false;
  int threads = 0;
  std::string command = {};  // as RecipeSpec's
};
VERNIER_API PipelineSummary Convert(const ConvertSpec& spec, const OnProgress& on_progress = {});

struct DequantizeSpec {
  std::string source = {}, output = {};
  std::string run_dir = {}, stream_memory = {}, non_finite = {};
  int threads = 0;
  std::string command = {};  // as RecipeSpec's
};
VERNIER_API PipelineSummary Dequantize(const DequantizeSpec& spec,
                                       const OnProgress& on_progress = {});

struct ValidateSpec {
  std::string checkpoint = {};
  std::string source = {};  // empty: nothing is compared
  std::string engine = {};
  int tensor_parallel = 1;
  bool full = false;
  std::string journal = {};
  std::string report = {};  // an HTML page to write
};
struct ValidateSummary {
  bool clean = true;
  int64_t errors = 0, warnings = 0;
  std::string json = {};
};
VERNIER_API ValidateSummary Validate(const ValidateSpec& spec, const OnProgress& on_progress = {});

struct ReportSpec {
  std::string run = {};
  std::string out = {};
};
struct ReportSummary {
  std::string page = {};
  std::string json = {};
};
VERNIER_API ReportSummary Report(const ReportSpec& spec, const OnProgress& on_progress = {});

// How a job runs a model.
struct ComputeSpec {
  std::string dtype = {}, device = {}, device_memory = {}, host_memory = {};
  int64_t batch_size = 0;
  int threads = 0;
};

struct EvalSpec {
  std::string checkpoint = {};
  std::string reference = {};
  std::vector<std::string> data = {};  // or:
  std::string input_ids = {};
  std::string tokenizer = {};
  int64_t window = 0, stride = 0, windows = 0;
  std::string bos = {}, chat_format = {}, column = {};
  std::vector<std::string> variants = {};
  ComputeSpec compute = {};
};
struct EvalVariant {
  std::string variant = {};
  double perplexity = 0;               // over all data
  std::optional<double> mean_kl = {};  // with a reference
};
struct EvalSummary {
  std::vector<EvalVariant> variants = {};
  std::string json = {};
};
VERNIER_API EvalSummary Eval(const EvalSpec& spec, const OnProgress& on_progress = {});

struct LayerTestSpec {
  std::string source = {}, quantised = {};
  int64_t layer = 0;
  std::string recipe = {};  // or:
  std::string input_ids = {};
  int64_t samples = 0;  // 0: all
  ComputeSpec compute = {};
};
struct LayerTestSummary {
  // Of the layer's output, relative to the source's.
  double weights_error = 0;
  std::optional<double> both_error = {};  // when activations are quantised too
  std::string json = {};
};
VERNIER_API LayerTestSummary LayerTest(const LayerTestSpec& spec,
                                       const OnProgress& on_progress = {});

// "0.1.0"
VERNIER_API std::string Version();
// What `vernier --version` says, as a JSON object.
VERNIER_API std::string Build();

}  // namespace v0
}  // namespace vernier

#endif  // VERNIER_VERNIER_H_
