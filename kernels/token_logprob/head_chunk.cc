#include "kernels/token_logprob/head_chunk.h"

#include <algorithm>

namespace routewright {

int64_t TokenLogprobChunk(int64_t vocabulary_size, int64_t max_chunk_bytes) {
  const int64_t row_bytes = 2 * 4 * vocabulary_size;
  const int64_t most = std::max<int64_t>(1, max_chunk_bytes / row_bytes);
  return std::min(most, std::max<int64_t>(32, (int64_t{4} << 20) / row_bytes));
}

}  // namespace routewright
