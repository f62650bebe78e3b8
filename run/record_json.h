// The records of a run as JSON, as `vernier status --json` and the report show them. Times that are
// not yet, and outcomes of what runs, are null.
#ifndef VERNIER_RUN_RECORD_JSON_H_
#define VERNIER_RUN_RECORD_JSON_H_

#include "base/json.h"
#include "run/export_record.h"
#include "run/non_finite_record.h"
#include "run/run_log.h"

namespace vernier::run {

Json RecordJson(const ExportRecord& record);
Json RecordJson(const PhaseRecord& record);
Json RecordJson(const CommandRecord& record);
Json RecordJson(const EventRecord& record);
Json RecordJson(const NonFiniteRecord& record);

// Of each of `records` (a range).
template <class Records>
Json RecordsJson(const Records& records) {
  Json all = Json::array();
  for (const auto& record : records) all.push_back(RecordJson(record));
  return all;
}

}  // namespace vernier::run

#endif  // VERNIER_RUN_RECORD_JSON_H_
