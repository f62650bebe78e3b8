// The library that runs models, loaded when a job first needs it: loading libtorch takes half a
// second and 150 MB.
#ifndef VERNIER_API_TORCH_LIBRARY_H_
#define VERNIER_API_TORCH_LIBRARY_H_

#include "api/run_job.h"

namespace vernier::api {

// Runs the job there. kNoTorch when libvernier-torch does not lie beside this library or cannot be
// loaded.
vernier_status RunInTorchLibrary(const JobCall& call);

}  // namespace vernier::api

#endif  // VERNIER_API_TORCH_LIBRARY_H_
