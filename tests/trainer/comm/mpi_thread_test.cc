// The ways in which MPI's thread ends the process, each in a process of its own.
#include "trainer/comm/mpi_thread.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(MpiThreadDeathTest, AFailureIsReportedAlthoughTheCallerAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        MpiThread thread(absl::Seconds(60), /*notice_path=*/"");
        thread.log().BeginStep(4);
        const int64_t sequence = thread.log().Ask("gather", /*bytes=*/8, {0});
        thread.log().Enter(sequence);
        thread.FailFromOutside(absl::UnavailableError("the link is down"));
        thread.Abort();
      },
      testing::ExitedWithCode(1),
      "step 4, in 'gather' \\(operation 1, rank 0\\): the link is down");
}

}  // namespace
}  // namespace routewright
