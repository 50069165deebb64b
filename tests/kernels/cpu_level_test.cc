#include "kernels/cpu_level.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(CpuLevelTest, ALowerLevelCanBeAskedForAndNoHigherOne) {
  EXPECT_EQ(CpuLevelAtMost(CpuLevel::kAvx512, "avx2"), CpuLevel::kAvx2);
  EXPECT_EQ(CpuLevelAtMost(CpuLevel::kAvx512, "portable"), CpuLevel::kPortable);
  EXPECT_EQ(CpuLevelAtMost(CpuLevel::kAvx2, "avx512"), CpuLevel::kAvx2);
  EXPECT_EQ(CpuLevelAtMost(CpuLevel::kAvx2, ""), CpuLevel::kAvx2);
  EXPECT_EQ(CpuLevelAtMost(CpuLevel::kAvx2, nullptr), CpuLevel::kAvx2);
  EXPECT_DEATH(CpuLevelAtMost(CpuLevel::kAvx2, "sse"), "use portable, avx2 or avx512");
}

}  // namespace
}  // namespace routewright
