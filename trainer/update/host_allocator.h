// LibTorch's allocator of host memory for a long training: what is large goes straight to the
// system and back. tcmalloc (common/heap.h) keeps what is free for the next, which suits a
// step's tensors of a few MiB, that are taken by the thousand; of a large policy's buffers it
// would keep as much as they take.
#pragma once

namespace routewright {

// From now on every host tensor of this process comes from it. Before the first tensor; once.
void UseHostAllocator();

}  // namespace routewright
