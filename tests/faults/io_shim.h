// The environment variables that steer the shim of io_shim.cc. All are optional.
#ifndef VERNIER_TESTS_FAULTS_IO_SHIM_H_
#define VERNIER_TESTS_FAULTS_IO_SHIM_H_

namespace vernier::testing {

// Only calls on paths below this directory are counted; without it, none.
inline constexpr char kShimRoot[] = "VERNIER_SHIM_ROOT";
// Gets a line for every counted call: "CALL PATH", "rename FROM TO", and " FAILED" after those that
// were made to fail.
inline constexpr char kShimLog[] = "VERNIER_SHIM_LOG";
// The call of this number, from 1, fails ...
inline constexpr char kShimFail[] = "VERNIER_SHIM_FAIL";
// ... with this errno, a number ...
inline constexpr char kShimErrno[] = "VERNIER_SHIM_ERRNO";
// ... and, when this is set, so do all later ones.
inline constexpr char kShimSticky[] = "VERNIER_SHIM_STICKY";
// When this is set, fsync and fdatasync do nothing, and nothing is counted.
inline constexpr char kShimNoSync[] = "VERNIER_SHIM_NO_SYNC";

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_FAULTS_IO_SHIM_H_
