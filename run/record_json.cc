#include "run/record_json.h"

#include <string>

namespace vernier::run {
namespace {

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

Json RecordJson(const ExportRecord& record) {
  const bool audited = !record.audited_at.empty();
  return {{"output", record.output},
          {"plan_hash", record.plan_hash},
          {"shards", record.shards},
          {"shards_done", record.shards_done},
          {"bytes", record.bytes},
          {"bytes_done", record.bytes_done},
          {"started_at", record.started_at},
          {"finished_at", TextOrNull(record.finished_at)},
          {"audited_at", TextOrNull(record.audited_at)},
          {"audit_errors", audited ? Json(record.audit_errors) : Json(nullptr)}};
}

Json RecordJson(const PhaseRecord& record) {
  return {{"phase", record.phase},
          {"seconds", record.seconds},
          {"started_at", record.started_at},
          {"ended_at", TextOrNull(record.ended_at)}};
}

Json RecordJson(const CommandRecord& record) {
  return {{"line", record.line},
          {"steps", record.steps},
          {"started_at", record.started_at},
          {"ended_at", TextOrNull(record.ended_at)},
          {"outcome", TextOrNull(record.outcome)},
          {"message", record.message}};
}

Json RecordJson(const EventRecord& record) {
  return {{"at", record.at}, {"kind", record.kind}, {"detail", record.detail}};
}

Json RecordJson(const NonFiniteRecord& record) {
  return {{"layer", record.layer},
          {"module", record.module},
          {"sample", record.sample},
          {"value", record.value},
          {"count", record.count}};
}

}  // namespace vernier::run
