// Zeroed float arrays for the kernels: 64-byte aligned, on huge pages where large, so that walking
// through all weights does not wait for the page table. Freed by their owner's destructor.
#pragma once

#include <cstddef>
#include <memory>

namespace routewright {

struct FreeFloats {
  void operator()(float* data) const;
};
using AlignedFloats = std::unique_ptr<float[], FreeFloats>;

// `count` zeros. Aborts if there is no memory.
AlignedFloats ZeroedFloats(size_t count);

}  // namespace routewright
