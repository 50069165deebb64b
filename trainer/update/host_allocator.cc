#include "trainer/update/host_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include "common/check.h"

namespace routewright {
namespace {

constexpr size_t kLargeBytes = size_t{32} << 20;  // from where on glibc's malloc maps too
constexpr size_t kPageBytes = 4096;

// Lies before each tensor's bytes, and is as long as what they are aligned to.
struct alignas(64) Header {
  size_t mapped_bytes;  // a mapping's, with the page that the header ends; 0: it is of the heap
};

void Free(void* data) {
  if (data == nullptr) return;
  Header* header = static_cast<Header*>(data) - 1;
  if (header->mapped_bytes == 0) return c10::free_cpu(header);
  const size_t mapped_bytes = header->mapped_bytes;
  RW_CHECK(munmap(static_cast<char*>(data) - kPageBytes, mapped_bytes) == 0) << mapped_bytes;
}

Header* Map(size_t mapped_bytes) {
  void* page = mmap(/*addr=*/nullptr, mapped_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, /*offset=*/0);
  TORCH_CHECK(page != MAP_FAILED, "this host has no ", mapped_bytes, " bytes of memory left");
  madvise(page, mapped_bytes, MADV_HUGEPAGE);  // a hint: fewer faults
  return reinterpret_cast<Header*>(static_cast<char*>(page) + kPageBytes) - 1;
}

class HostAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t num_bytes) override {
    if (num_bytes == 0) return {nullptr, nullptr, &Free, at::kCPU};
    const size_t mapped_bytes = num_bytes < kLargeBytes ? 0 : num_bytes + kPageBytes;
    Header* header = mapped_bytes > 0
                         ? Map(mapped_bytes)
                         : static_cast<Header*>(c10::alloc_cpu(num_bytes + sizeof(Header)));
    header->mapped_bytes = mapped_bytes;
    return {header + 1, header + 1, &Free, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t num_bytes) const override {
    default_copy_data(to, from, num_bytes);
  }
};

}  // namespace

void UseHostAllocator() { c10::SetCPUAllocator(new HostAllocator, /*priority=*/1); }

}  // namespace routewright
