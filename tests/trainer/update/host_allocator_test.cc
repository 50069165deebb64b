#include "trainer/update/host_allocator.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace routewright {
namespace {

constexpr int64_t kLarge = int64_t{32} << 20;  // bytes

int64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0, resident = 0;
  if (std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  std::fclose(file);
  return int64_t{resident} * sysconf(_SC_PAGESIZE);
}

class HostAllocatorTest : public testing::TestWithParam<int64_t> {
 protected:
  static void SetUpTestSuite() { UseHostAllocator(); }
};

TEST_P(HostAllocatorTest, BytesAreAlignedAndOneOwns) {
  const int64_t num_bytes = GetParam();
  c10::DataPtr data = c10::GetCPUAllocator()->allocate(num_bytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data.get()) % 64, 0u);
  if (num_bytes > 0) std::memset(data.get(), 7, num_bytes);
  void* raw = c10::GetCPUAllocator()->raw_allocate(num_bytes);  // as oneDNN's scratch is
  if (num_bytes > 0) std::memset(raw, 7, num_bytes);
  c10::GetCPUAllocator()->raw_deallocate(raw);
}

INSTANTIATE_TEST_SUITE_P(Sizes, HostAllocatorTest,
                         testing::Values(0, 1, 63, 64, 4096, kLarge - 1, kLarge, kLarge + 1,
                                         3 * kLarge));

TEST(HostTensorTest, TensorsOfEverySizeHoldTheirValues) {
  UseHostAllocator();
  for (const int64_t n : {int64_t{1}, int64_t{1000}, kLarge / 8, kLarge / 2}) {
    const at::Tensor values = at::arange(n, at::kFloat);
    EXPECT_EQ(values[n - 1].item<float>(), static_cast<float>(n - 1));
    EXPECT_TRUE(values.clone().equal(values));
  }
}

TEST(HostTensorTest, WhatIsLargeGoesBackToTheSystemAtOnce) {
  UseHostAllocator();
  const int64_t before = ResidentBytes();
  {
    const at::Tensor large = at::full({4 * kLarge}, 1, at::kByte);
    EXPECT_GE(ResidentBytes(), before + 3 * kLarge);  // the kernel's count is approximate
  }
  EXPECT_LT(ResidentBytes(), before + kLarge);
}

}  // namespace
}  // namespace routewright
