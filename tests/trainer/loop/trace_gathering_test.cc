// Runs as several MPI ranks.
#include "trainer/loop/trace_gathering.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/trace.h"
#include "tests/trainer/comm/run_as_ranks.h"

namespace routewright {
namespace {

Communicator* world = nullptr;

TEST(TraceGatheringTest, Rank0GetsEveryRanksSpans) {
  BeginTrace();
  for (int i = 0; i <= world->rank(); ++i) {  // so that the ranks' messages differ in length
    const ScopedSpan span("work");
  }
  ASSERT_TRUE(world->Barrier("a collective")->Wait().ok());
  const auto traces = GatherTraces(*world);
  ASSERT_TRUE(traces.ok()) << traces.status();
  EXPECT_FALSE(IsTracing());
  if (world->rank() != 0) {
    EXPECT_TRUE(traces->empty());
    return;
  }
  ASSERT_EQ(static_cast<int>(traces->size()), world->size());
  for (int rank = 0; rank < world->size(); ++rank) {
    const RankTrace& trace = (*traces)[rank];
    EXPECT_EQ(trace.rank(), rank);
    EXPECT_FALSE(trace.host().empty());
    int work = 0, collectives = 0;
    for (const TraceSpan& span : trace.spans()) {
      work += span.name() == "work" && span.track() == kTrainingTrack;
      collectives += span.name() == "a collective" && span.track() == "collective";
    }
    EXPECT_EQ(work, rank + 1);
    EXPECT_EQ(collectives, world->size() > 1 ? 1 : 0);
  }
  EXPECT_EQ((*traces)[0].clock_offset_us(), 0);
}

TEST(TraceGatheringTest, ARankWithoutATraceHasNoSpans) {
  const auto traces = GatherTraces(*world);
  ASSERT_TRUE(traces.ok()) << traces.status();
  for (const RankTrace& trace : *traces) EXPECT_EQ(trace.spans_size(), 0);
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunAsRanks(argc, argv, routewright::world); }
