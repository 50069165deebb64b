// Runs as several MPI ranks.
#include "trainer/comm/agreement.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/trainer/comm/run_as_ranks.h"

namespace routewright {
namespace {

Communicator* world = nullptr;

bool Says(const absl::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

TEST(AgreementTest, AllWellIsWellOnEveryRank) {
  EXPECT_TRUE(AgreeOnStatus(*world, "all well", absl::OkStatus()).ok());
}

TEST(AgreementTest, EveryRankLearnsWhatTheLowestThatFailedHasToSay) {
  const int last = world->size() - 1;
  const bool is_failing = world->rank() == last;
  const absl::Status one = AgreeOnStatus(
      *world, "the last", is_failing ? absl::DataLossError("no file") : absl::OkStatus());
  EXPECT_EQ(one, absl::DataLossError(absl::StrCat("rank ", last, ": no file")));
  const absl::Status all =
      AgreeOnStatus(*world, "all", absl::InternalError(absl::StrCat("reason ", world->rank())));
  EXPECT_EQ(all, absl::InternalError("rank 0: reason 0"));
}

TEST(AgreementTest, RanksThatWereStartedDifferentlyAreToldInWhich) {
  const std::string mine =
      absl::StrCat("code version 1\nsteps: ", world->rank() == 1 ? 77 : 5, "\nseed: 3");
  EXPECT_TRUE(AgreeOnStart(*world, "code version 1\nsteps: 5").ok());
  const absl::Status status = AgreeOnStart(*world, mine);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(Says(status, "rank 1: was started with 'steps: 77' and rank 0 with 'steps: 5'"))
      << status;
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunAsRanks(argc, argv, routewright::world); }
