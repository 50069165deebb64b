#include "kernels/aligned_floats.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "common/check.h"

namespace routewright {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

void FreeFloats::operator()(float* data) const { std::free(data); }

AlignedFloats ZeroedFloats(size_t count) {
  const size_t bytes = count * sizeof(float);
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  void* data = nullptr;
  RW_CHECK(posix_memalign(&data, alignment, bytes) == 0)
      << "out of memory for " << bytes << " bytes";
  if (alignment == kHugePage) {  // a hint: failing is fine
    madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  }
  std::memset(data, 0, bytes);
  return AlignedFloats(static_cast<float*>(data));
}

}  // namespace routewright
