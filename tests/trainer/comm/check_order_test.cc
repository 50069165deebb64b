// trainer.communicator.check_order as a config has it: ranks whose collectives are in different
// orders are told so. Runs as several MPI ranks, whose communicator is made once in a process.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/trainer/comm/run_as_ranks.h"
#include "trainer/comm/communicator.h"

namespace routewright {
namespace {

Communicator* communicator = nullptr;

TEST(CheckOrderTest, TheConfigsKeyMakesRanksCompareTheirCollectives) {
  EXPECT_TRUE(communicator->Barrier("the same")->Wait().ok());
  const auto group = communicator->Split("everyone", /*color=*/0).value();
  const std::string mine = absl::StrCat("of rank ", communicator->rank());
  for (Communicator* ranks : {group.get(), communicator}) {  // a group compares as well
    const absl::Status status = ranks->Barrier(mine)->Wait();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find("rank 0 starts 'of rank 0'"), std::string::npos) << status;
    EXPECT_NE(status.message().find("rank 1 starts 'of rank 1'"), std::string::npos) << status;
  }
}

TEST(CheckOrderTest, ItIsOffUnlessAskedFor) { EXPECT_FALSE(CommunicatorConfig().check_order()); }

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  routewright::CommunicatorConfig config;
  config.set_check_order(true);
  return routewright::RunAsRanks(argc, argv, routewright::communicator, config);
}
