// The C++ functions, above the C ones.
#include "vernier/vernier.h"

#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>

namespace vernier {
inline namespace v0 {
namespace {

using Json = nlohmann::ordered_json;

struct FreeText {
  void operator()(char* text) const { vernier_free(text); }
};
using Text = std::unique_ptr<char, FreeText>;

// Summaries write what is not finite as null.
double Number(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::infinity() : value.get<double>();
}

std::string Field(const Json& object, const char* name) { return object.value(name, ""); }

// The caller's function and what it threw.
struct Listening {
  const OnProgress& on_progress;
  std::exception_ptr thrown = nullptr;
};

int Hear(void* user, const vernier_progress* progress) {
  auto& listening = *static_cast<Listening*>(user);
  if (listening.thrown) return 1;
  try {
    return listening.on_progress(*progress) ? 0 : 1;
  } catch (...) {
    listening.thrown = std::current_exception();
    return 1;
  }
}

// Builds a specification of the fields that are not left as they are.
class Fields {
 public:
  Fields& Add(const char* name, const std::string& value) {
    if (!value.empty()) json_[name] = value;
    return *this;
  }
  Fields& Add(const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) json_[name] = values;
    return *this;
  }
  Fields& Add(const char* name, int64_t value) {
    if (value != 0) json_[name] = value;
    return *this;
  }
  Fields& Add(const char* name, bool value) {
    if (value) json_[name] = true;
    return *this;
  }
  template <typename T>
  Fields& Add(const char* name, const std::optional<T>& value) {
    if (value) json_[name] = *value;
    return *this;
  }
  Fields& Add(const ComputeSpec& compute) {
    return Add("dtype", compute.dtype)
        .Add("device", compute.device)
        .Add("device_memory", compute.device_memory)
        .Add("host_memory", compute.host_memory)
        .Add("batch_size", compute.batch_size)
        .Add("threads", int64_t{compute.threads});
  }

  const Json& json() const { return json_; }

 private:
  Json json_ = Json::object();
};

Fields FieldsOf(const RecipeSpec& spec) {
  return Fields()
      .Add("recipe", spec.recipe)
      .Add("source", spec.source)
      .Add("output", spec.output)
      .Add("run_dir", spec.run_dir)
      .Add("data", spec.data)
      .Add("device", spec.device)
      .Add("device_memory", spec.device_memory)
      .Add("host_memory", spec.host_memory)
      .Add("stream_memory", spec.stream_memory)
      .Add("threads", spec.threads)
      .Add("cpu_products", spec.cpu_products)
      .Add("save_interval", spec.save_interval)
      .Add("non_finite", spec.non_finite)
      .Add("kv_cache", spec.kv_cache)
      .Add("samples", spec.samples)
      .Add("sequence_length", spec.sequence_length)
      .Add("batch_size", spec.batch_size)
      .Add("seed", spec.seed)
      .Add("command", spec.command);
}

// A summary's text, and the same as a tree.
struct Summary {
  std::string text;
  Json tree;
};

Summary RunFields(const char* job, const Fields& fields, const OnProgress& on_progress = {}) {
  std::string text = RunJob(job, fields.json().dump(), on_progress);
  Json tree = Json::parse(text);
  return {std::move(text), std::move(tree)};
}

PipelineSummary RunPipelineJob(const char* job, const Fields& fields,
                               const OnProgress& on_progress) {
  const auto [text, tree] = RunFields(job, fields, on_progress);
  PipelineSummary summary{.source = tree.at("source"),
                          .output = tree.at("output"),
                          .run_dir = tree.at("run_dir"),
                          .clean = tree.at("clean"),
                          .json = text};
  const Json& exported = tree.at("export");
  if (exported.is_null()) return summary;
  summary.converted_tensors = exported.at("converted_tensors");
  summary.carried_tensors = exported.at("carried_tensors");
  summary.dropped_tensors = exported.at("dropped_tensors");
  summary.output_bytes = exported.at("output_bytes");
  return summary;
}

}  // namespace

Error::Error(const std::string& json) : std::runtime_error(Field(Json::parse(json), "message")) {
  const Json object = Json::parse(json);
  code_ = Field(object, "code");
  meaning_ = Field(object, "meaning");
  subject_ = Field(object, "subject");
  problem_ = Field(object, "problem");
  remedy_ = Field(object, "remedy");
}

Error::~Error() = default;
Stopped::~Stopped() = default;

std::string RunJob(std::string_view job, const std::string& specification,
                   const OnProgress& on_progress) {
  char* summary = nullptr;
  char* error = nullptr;
  Listening listening{on_progress};
  const vernier_status status =
      vernier_run_job(std::string(job).c_str(), specification.c_str(),
                      on_progress ? &Hear : nullptr, &listening, &summary, &error);
  const Text owned_summary(summary), owned_error(error);
  if (listening.thrown) std::rethrow_exception(listening.thrown);
  if (status == VERNIER_OK && summary != nullptr) return summary;
  if (error == nullptr) throw std::bad_alloc();
  if (status == VERNIER_STOPPED) throw Stopped(error);
  throw Error(error);
}

InspectSummary Inspect(const InspectSpec& spec) {
  const auto [text, tree] = RunFields("inspect", Fields().Add("checkpoint", spec.checkpoint));
  const Json& totals = tree.at("totals");
  return {.model_type = tree.at("model_type"),
          .layers = tree.at("layers"),
          .experts = tree.at("experts"),
          .weights = totals.at("weights"),
          .tensors = totals.at("tensors"),
          .parameters = totals.at("parameters"),
          .bytes = totals.at("bytes"),
          .missing = tree.at("missing"),
          .notes = tree.at("notes"),
          .json = text};
}

PlanSummary Plan(const RecipeSpec& spec, bool probe) {
  const auto [text, tree] = RunFields("plan", FieldsOf(spec).Add("probe", probe));
  return {.source_bytes = tree.at("total").at("source_bytes"),
          .output_bytes = tree.at("total").at("output_bytes"),
          .host_peak_bytes = tree.at("calibration").at("host_peak_bytes"),
          .device_peak_bytes = tree.at("calibration").at("device_peak_bytes"),
          .calibrate_seconds = tree.at("seconds").at("calibrate"),
          .export_seconds = tree.at("seconds").at("export"),
          .validate_seconds = tree.at("seconds").at("validate"),
          .json = text};
}

PipelineSummary Run(const RecipeSpec& spec, const OnProgress& on_progress) {
  return RunPipelineJob("run", FieldsOf(spec), on_progress);
}

PipelineSummary Calibrate(const RecipeSpec& spec, const OnProgress& on_progress) {
  return RunPipelineJob("calibrate", FieldsOf(spec), on_progress);
}

PipelineSummary Export(const RecipeSpec& spec, const OnProgress& on_progress) {
  return RunPipelineJob("export", FieldsOf(spec), on_progress);
}

PipelineSummary Convert(const ConvertSpec& spec, const OnProgress& on_progress) {
  return RunPipelineJob("convert",
                        Fields()
                            .Add("source", spec.source)
                            .Add("output", spec.output)
                            .Add("run_dir", spec.run_dir)
                            .Add("stream_memory", spec.stream_memory)
                            .Add("recipe", spec.recipe)
                            .Add("weights", spec.weights)
                            .Add("method", spec.method)
                            .Add("dialect", spec.dialect)
                            .Add("importance", spec.importance)
                            .Add("input_scale", spec.input_scale)
                            .Add("non_finite", spec.non_finite)
                            .Add("kv_cache", spec.kv_cache)
                            .Add("layouts", spec.layouts)
                            .Add("validate", spec.validate)
                            .Add("threads", int64_t{spec.threads})
                            .Add("command", spec.command),
                        on_progress);
}

PipelineSummary Dequantize(const DequantizeSpec& spec, const OnProgress& on_progress) {
  return RunPipelineJob("dequantize",
                        Fields()
                            .Add("source", spec.source)
                            .Add("output", spec.output)
                            .Add("run_dir", spec.run_dir)
                            .Add("stream_memory", spec.stream_memory)
                            .Add("non_finite", spec.non_finite)
                            .Add("threads", int64_t{spec.threads})
                            .Add("command", spec.command),
                        on_progress);
}

ValidateSummary Validate(const ValidateSpec& spec, const OnProgress& on_progress) {
  const auto [text, tree] = RunFields("validate",
                                      Fields()
                                          .Add("checkpoint", spec.checkpoint)
                                          .Add("source", spec.source)
                                          .Add("engine", spec.engine)
                                          .Add("tensor_parallel", int64_t{spec.tensor_parallel})
                                          .Add("full", spec.full)
                                          .Add("journal", spec.journal)
                                          .Add("report", spec.report),
                                      on_progress);
  return {.clean = tree.at("clean"),
          .errors = tree.at("counts").at("error"),
          .warnings = tree.at("counts").at("warning"),
          .json = text};
}

ReportSummary Report(const ReportSpec& spec, const OnProgress& on_progress) {
  const auto [text, tree] =
      RunFields("report", Fields().Add("run", spec.run).Add("out", spec.out), on_progress);
  return {.page = tree.at("page"), .json = text};
}

EvalSummary Eval(const EvalSpec& spec, const OnProgress& on_progress) {
  const auto [text, tree] = RunFields("eval",
                                      Fields()
                                          .Add("checkpoint", spec.checkpoint)
                                          .Add("reference", spec.reference)
                                          .Add("data", spec.data)
                                          .Add("input_ids", spec.input_ids)
                                          .Add("tokenizer", spec.tokenizer)
                                          .Add("window", spec.window)
                                          .Add("stride", spec.stride)
                                          .Add("windows", spec.windows)
                                          .Add("bos", spec.bos)
                                          .Add("chat_format", spec.chat_format)
                                          .Add("column", spec.column)
                                          .Add("variants", spec.variants)
                                          .Add(spec.compute),
                                      on_progress);
  EvalSummary summary{.variants = {}, .json = text};
  for (const Json& variant : tree.at("variants")) {
    const Json& total = variant.at("total");
    EvalVariant result{.variant = variant.at("variant"),
                       .perplexity = Number(total.at("perplexity").at("value")),
                       .mean_kl = {}};
    if (!total.at("divergence").is_null()) {
      result.mean_kl = Number(total.at("divergence").at("mean_kl").at("value"));
    }
    summary.variants.push_back(std::move(result));
  }
  return summary;
}

LayerTestSummary LayerTest(const LayerTestSpec& spec, const OnProgress& on_progress) {
  Fields fields = Fields()
                      .Add("source", spec.source)
                      .Add("quantised", spec.quantised)
                      .Add("recipe", spec.recipe)
                      .Add("input_ids", spec.input_ids)
                      .Add("samples", spec.samples)
                      .Add(spec.compute)
                      .Add("layer", std::optional(spec.layer));
  const auto [text, tree] = RunFields("layertest", fields, on_progress);
  const Json& output = tree.at("output");
  LayerTestSummary summary{.weights_error = Number(output.at("weights").at("relative_error")),
                           .both_error = {},
                           .json = text};
  if (!output.at("both").is_null()) {
    summary.both_error = Number(output.at("both").at("relative_error"));
  }
  return summary;
}

std::string Version() { return vernier_version(); }

std::string Build() { return vernier_build(); }

}  // namespace v0
}  // namespace vernier
