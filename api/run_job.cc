#include "api/run_job.h"

#include <atomic>
#include <exception>
#include <string>

#include "api/text.h"
#include "base/json.h"
#include "jobs/catalogue.h"

namespace vernier::api {
namespace {

constexpr const char* kOrigin = "specification";

vernier_event EventOf(ProgressEvent::Kind kind) {
  switch (kind) {
    case ProgressEvent::Kind::kBegin:
      return VERNIER_PHASE_BEGINS;
    case ProgressEvent::Kind::kAdvance:
      return VERNIER_PHASE_ADVANCES;
    case ProgressEvent::Kind::kEnd:
      break;
  }
  return VERNIER_PHASE_ENDS;
}

// Hands events over to the caller's function and remembers its wish to stop.
class Caller final : public ProgressListener {
 public:
  explicit Caller(const JobCall& call) : call_(call) {}

  void Hear(const ProgressEvent& event) override {
    if (call_.progress == nullptr) return;
    const std::string phase(event.phase), detail(event.detail);
    const vernier_progress progress = {.event = EventOf(event.kind),
                                       .phase = phase.c_str(),
                                       .number = event.number,
                                       .phases = event.phases,
                                       .fraction = event.fraction,
                                       .detail = detail.c_str(),
                                       .phase_seconds = event.phase_seconds,
                                       .job_eta_seconds = event.job_eta_seconds};
    if (call_.progress(call_.user, &progress) != 0) stop_ = true;
  }

  bool WantsStop() override { return stop_; }

 private:
  const JobCall& call_;
  std::atomic<bool> stop_ = false;  // events may come from other threads
};

}  // namespace

bool NeedsModels(const JobCall& call) {
  try {
    const Json specification = ParseJson(TextOf(call.specification), kOrigin);
    return jobs::FindJob(TextOf(call.job)).needs_models(specification);
  } catch (const std::exception&) {
    return false;
  }
}

vernier_status RunJob(const JobCall& call, const jobs::ModelJobs* models) {
  if (call.summary != nullptr) *call.summary = nullptr;
  if (call.error != nullptr) *call.error = nullptr;
  try {
    const jobs::Job& job = jobs::FindJob(TextOf(call.job));
    const Json specification = ParseJson(TextOf(call.specification), kOrigin);
    Caller caller(call);
    const Json summary = job.run(specification, models, caller);
    PutJson(summary, call.summary);
    return VERNIER_OK;
  } catch (...) {
    return FailWithCurrentException(call.error);
  }
}

}  // namespace vernier::api
