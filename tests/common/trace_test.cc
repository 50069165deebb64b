#include "common/trace.h"

#include <gtest/gtest.h>

#include <thread>

namespace routewright {
namespace {

TEST(TraceTest, NothingIsRecordedWithoutATrace) {
  {
    ScopedSpan span("work");
    span.AddDetail("tokens", "3");
    EXPECT_FALSE(span.is_recorded());
  }
  RecordSpan("other", MakeSpan("work", absl::Now(), absl::Now()));
  EXPECT_FALSE(IsTracing());
  EXPECT_TRUE(EndTrace().empty());
}

TEST(TraceTest, SpansComeWithTheirDetailsAsTheyEnd) {
  BeginTrace();
  {
    const ScopedSpan outer("outer");
    ScopedSpan inner("inner");
    inner.AddDetail("tokens", "3");
  }
  const std::vector<TraceSpan> spans = EndTrace();
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].name(), "inner");
  EXPECT_EQ(spans[0].details().at("tokens"), "3");
  EXPECT_EQ(spans[1].name(), "outer");
  EXPECT_EQ(spans[1].track(), kTrainingTrack);
  EXPECT_LE(spans[1].start_us(), spans[0].start_us());
  EXPECT_GE(spans[1].start_us() + spans[1].duration_us(),
            spans[0].start_us() + spans[0].duration_us());
}

TEST(TraceTest, ASpanThatBeganBeforeTheTraceOrEndsAfterItIsNoneOfIts) {
  {
    const ScopedSpan before("before");
    BeginTrace();
  }
  {
    const ScopedSpan late("late");
    EXPECT_TRUE(EndTrace().empty());
  }
  BeginTrace();
  EXPECT_TRUE(EndTrace().empty());
}

TEST(TraceTest, AClockThatIsSetBackGivesNoNegativeDuration) {
  const absl::Time now = absl::Now();
  EXPECT_EQ(MakeSpan("odd", now, now - absl::Seconds(1)).duration_us(), 0);
}

TEST(TraceTest, ThreadsRecordAtOnce) {
  BeginTrace();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) RecordSpan("t", MakeSpan("s", absl::Now(), absl::Now()));
    });
  }
  threads.clear();
  EXPECT_EQ(EndTrace().size(), 4000u);
}

}  // namespace
}  // namespace routewright
