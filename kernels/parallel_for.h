// The one door to OpenMP for loops outside the kernels.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace routewright {

// Calls body(0) … body(count - 1), each once, in any order, on up to num_threads threads;
// returns when all are done.
void ParallelFor(int64_t count, int num_threads, absl::FunctionRef<void(int64_t)> body);

}  // namespace routewright
