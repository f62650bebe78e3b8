// The commit that was built. The build writes its source anew when it changes.
#ifndef VERNIER_JOBS_COMMIT_H_
#define VERNIER_JOBS_COMMIT_H_

namespace vernier::jobs {

extern const char* const kCommit;  // empty: unknown
extern const bool kModified;

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_COMMIT_H_
