#include "api/run_job.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"
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

// For vernier_free; null when there is no memory for it.
char* CopyOf(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

void Put(char** place, const std::string& text) {
  if (place != nullptr) *place = CopyOf(text);
}

Json ErrorJson(const Error& error) {
  return {{"code", CodeName(error.code())},   {"meaning", CodeSummary(error.code())},
          {"subject", error.parts().subject}, {"problem", error.parts().problem},
          {"remedy", error.parts().remedy},   {"message", error.what()}};
}

vernier_status FailWith(const JobCall& call, const Error& error) {
  // Names from files need not be UTF-8.
  Put(call.error, ErrorJson(error).dump(-1, ' ', false, Json::error_handler_t::replace));
  return error.code() == ErrorCode::kInterrupted ? VERNIER_STOPPED : VERNIER_FAILED;
}

std::string_view TextOf(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

bool NeedsModels(const JobCall& call) {
  try {
    const Json specification = ParseJson(TextOf(call.specification), kOrigin);
    return jobs::FindJob(TextOf(call.job)).needs_models(specification);
  } catch (const std::exception&) {
    return false;
  }
}

vernier_status FailWithCurrentException(const JobCall& call) {
  try {
    throw;
  } catch (const Error& error) {
    return FailWith(call, error);
  } catch (const std::bad_alloc&) {
    return FailWith(call, Error(ErrorCode::kOutOfMemory, "vernier", "out of memory",
                                "Lower device_memory, host_memory or stream_memory"));
  } catch (const std::exception& error) {
    return FailWith(call,
                    Error(ErrorCode::kUnexpected, "vernier", error.what(), "Please report it"));
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
    Put(call.summary, summary.dump(-1, ' ', false, Json::error_handler_t::replace));
    return VERNIER_OK;
  } catch (...) {
    return FailWithCurrentException(call);
  }
}

}  // namespace vernier::api
