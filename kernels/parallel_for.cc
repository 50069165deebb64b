#include "kernels/parallel_for.h"

namespace routewright {

void ParallelFor(int64_t count, int num_threads, absl::FunctionRef<void(int64_t)> body) {
#pragma omp parallel for num_threads(num_threads) \
    schedule(dynamic) if (num_threads > 1 && count > 1)
  for (int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace routewright
