/* Vernier's jobs for C, and for every language that calls C.
 *
 * A job takes a specification and gives a summary, both as JSON text in UTF-8; docs/library.md
 * lists the jobs and their fields. Functions may be called from any thread. A job takes the memory
 * and the processors that its specification allows it, so that two at a time make sense only where
 * they leave each other room. */
#ifndef VERNIER_C_H_
#define VERNIER_C_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VERNIER_API __attribute__((visibility("default")))
#else
#define VERNIER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vernier_status {
  VERNIER_OK = 0,
  VERNIER_FAILED = 1, /* *error says why */
  VERNIER_STOPPED = 2 /* the progress function asked for it; *error says what is kept */
} vernier_status;

typedef enum vernier_event {
  VERNIER_PHASE_BEGINS = 0,
  VERNIER_PHASE_ADVANCES = 1,
  VERNIER_PHASE_ENDS = 2
} vernier_event;

/* Where a job is. Texts live as long as the call that hands them over. */
typedef struct vernier_progress {
  vernier_event event;
  const char* phase;      /* such as "calibrate" */
  int number;             /* of the phase among the job's, from 1 */
  int phases;             /* that the job has */
  double fraction;        /* of the phase, 0 to 1 */
  const char* detail;     /* such as "layer 3/61"; may be empty */
  double phase_seconds;   /* since the phase began */
  double job_eta_seconds; /* until the whole job ends */
} vernier_progress;

/* Called as a job goes on: often, one call at a time, not always on the thread that began the job.
 * Anything but 0 ends the job as soon as what is finished is durable: the same job goes on from
 * there. Must not throw or jump out. */
typedef int (*vernier_progress_fn)(void* user, const vernier_progress* progress);

/* Runs `job` ("inspect", "convert", "run", ...) and returns when it is done.
 *   specification: a JSON object
 *   progress:      may be null; `user` is handed to it
 *   summary:       where the summary goes, a JSON object; null unless VERNIER_OK
 *   error:         where the error goes, {"code", "meaning", "subject", "problem", "remedy",
 *                  "message"}; null if VERNIER_OK
 * Either place may be null itself. Texts are the caller's to vernier_free. */
VERNIER_API vernier_status vernier_run_job(const char* job, const char* specification,
                                           vernier_progress_fn progress, void* user, char** summary,
                                           char** error);

/* Frees a text that one of these functions handed over; null is fine. */
VERNIER_API void vernier_free(char* text);

/* Tensors that are read into the caller's memory: the weights of a checkpoint, dequantised, or what
 * a calibration observed. One may be read by several threads at a time. */
typedef struct vernier_tensors vernier_tensors;

/* Opens a checkpoint, of which headers are read, or a run directory, whose statistics are.
 *   tensors: where the handle goes; null unless VERNIER_OK
 *   list:    where the list goes, a JSON array of {"name", "dtype", "shape", ...}; may be null.
 *            dtype is "F32", of statistics "F64" and "I64" as well. Weights have "role", "format"
 *            and "layer" (-1: of no layer), statistics "statistic", "module", "layer" and "tokens"
 *   error:   as of vernier_run_job */
VERNIER_API vernier_status vernier_open_weights(const char* checkpoint, vernier_tensors** tensors,
                                                char** list, char** error);
VERNIER_API vernier_status vernier_open_statistics(const char* run, vernier_tensors** tensors,
                                                   char** list, char** error);

/* Writes rows [first_row, first_row + rows) of a tensor, row-major, to `values`: memory at a
 * multiple of eight bytes, of exactly the `bytes` that they take. Rows are slices of the first
 * dimension; a scalar is one row. */
VERNIER_API vernier_status vernier_read_tensor(const vernier_tensors* tensors, const char* name,
                                               int64_t first_row, int64_t rows, void* values,
                                               size_t bytes, char** error);

/* Null is fine. No other call may be reading them. */
VERNIER_API void vernier_close_tensors(vernier_tensors* tensors);

/* "0.1.0" */
VERNIER_API const char* vernier_version(void);

/* What `vernier --version` says, as a JSON object. */
VERNIER_API const char* vernier_build(void);

#ifdef __cplusplus
}
#endif

#endif /* VERNIER_C_H_ */
