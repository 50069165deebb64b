#include "trainer/comm/gpu_check.h"

#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

absl::Status Check(const std::vector<std::string>& gpus) { return CheckOneGpuPerRank(gpus); }

TEST(GpuCheckTest, AGpuForEachRankWillDo) {
  EXPECT_TRUE(Check({"GPU-a"}).ok());
  EXPECT_TRUE(Check({"GPU-a", "GPU-b", "GPU-c"}).ok());
}

TEST(GpuCheckTest, SharedGpusAreRefusedWithTheRanksAndTheRemedy) {
  const absl::Status status = Check({"GPU-a", "GPU-b", "GPU-c", "GPU-b"});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "ranks 1 and 3 would both compute on GPU-b; NCCL needs a GPU for each rank: start no "
            "more ranks on a host than it has GPUs, or set policy.device: cpu");
}

TEST(GpuCheckTest, ARankWithoutAGpuIsNamed) {
  const absl::Status status = Check({"GPU-a", ""});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message().find("rank 1 sees no GPU; NCCL needs"), 0u) << status;
}

}  // namespace
}  // namespace routewright
