#include "trainer/comm/local_communicator.h"

#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

TEST(LocalCommunicatorTest, EveryCollectiveIsTheIdentity) {
  auto communicator = NewLocalCommunicator();
  std::vector<float> values = {1, 2, 3}, out(3);
  const CommBuffer in{.data = values.data(), .num_elements = 3};
  EXPECT_TRUE(communicator->AllReduceSum("sum", in)->Wait().ok());
  EXPECT_TRUE(communicator->Broadcast("broadcast", in, 0)->Wait().ok());
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3}));
  EXPECT_TRUE(
      communicator->AllGather("gather", in, {.data = out.data(), .num_elements = 3})->Wait().ok());
  EXPECT_EQ(out, values);
  EXPECT_TRUE(communicator->Barrier("barrier")->Wait().ok());
}

TEST(LocalCommunicatorTest, AutoIsLocalWithoutALauncher) {
  auto communicator = NewCommunicator(CommunicatorConfig(), /*is_on_gpu=*/false);
  ASSERT_TRUE(communicator.ok());
  EXPECT_EQ((*communicator)->size(), 1);
}

TEST(LocalCommunicatorTest, NcclOnTheCpuIsRefused) {
  CommunicatorConfig config;
  config.set_backend(CommunicatorConfig::BACKEND_NCCL);
  EXPECT_TRUE(absl::IsInvalidArgument(NewCommunicator(config, false).status()));
}

TEST(LocalCommunicatorTest, MpiOnAGpuIsRefusedWithTheKeysToSet) {
  CommunicatorConfig config;
  config.set_backend(CommunicatorConfig::BACKEND_MPI);
  const absl::Status status = NewCommunicator(config, /*is_on_gpu=*/true).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("set trainer.communicator.backend: auto, or policy.device: cpu"),
            std::string::npos)
      << status;
}

}  // namespace
}  // namespace routewright
