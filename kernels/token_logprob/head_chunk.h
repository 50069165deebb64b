// How large the chunks of the head are. No torch: the planner uses it too.
#pragma once

#include <algorithm>
#include <cstdint>

namespace routewright {

inline constexpr int64_t kTokenLogprobChunkBytes = int64_t{40} << 20;

// Rows per chunk: two [chunk, V] f32 buffers together take at most max_chunk_bytes (but one row is
// the least), and 4 MiB where V is small, so that they stay in the cache.
int64_t TokenLogprobChunk(int64_t vocabulary_size, int64_t max_chunk_bytes);

// Bytes of both buffers for `rows` rows in all.
inline int64_t HeadChunkBytes(int64_t vocabulary_size, int64_t max_chunk_bytes, int64_t rows) {
  return std::min(TokenLogprobChunk(vocabulary_size, max_chunk_bytes), rows) * 2 * 4 *
         vocabulary_size;
}

}  // namespace routewright
