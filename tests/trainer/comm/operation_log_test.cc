#include "trainer/comm/operation_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

int64_t Do(OperationLog& log, std::string_view name) {
  const int64_t sequence = log.Ask(name, /*bytes=*/8, {0, 1});
  log.Enter(sequence);
  log.Finish(sequence);
  return sequence;
}

TEST(OperationLogTest, RanksAreWrittenAsRuns) {
  const auto text = [](std::vector<int> ranks) { return RanksText(ranks); };
  EXPECT_EQ(text({3}), "rank 3");
  EXPECT_EQ(text({0, 1, 2, 3}), "ranks 0-3");
  EXPECT_EQ(text({0, 2}), "ranks 0,2");
  EXPECT_EQ(text({4, 5}), "ranks 4,5");
  EXPECT_EQ(text({0, 2, 4, 5, 6, 7, 9}), "ranks 0,2,4-7,9");
}

TEST(OperationLogTest, NothingIsUnfinishedAtFirstAndAtTheEnd) {
  OperationLog log;
  EXPECT_EQ(log.oldest_unfinished().sequence, 0);
  Do(log, "sum");
  EXPECT_EQ(log.oldest_unfinished().sequence, 0);
  EXPECT_EQ(log.last_finished().name, "sum");
}

// As of two streams: a later operation finishes first.
TEST(OperationLogTest, TheOldestUnfinishedStaysSoWhateverFinishesAfterIt) {
  OperationLog log;
  const int64_t first = log.Ask("gather", 8, {0, 2});
  const int64_t second = log.Ask("sum", 8, {0, 1, 2, 3});
  log.Enter(second);
  log.Finish(second);
  EXPECT_EQ(log.oldest_unfinished().name, "gather");
  EXPECT_EQ(log.oldest_unfinished().ranks, (std::vector<int>{0, 2}));
  EXPECT_EQ(log.last_finished().name, "sum");
  log.Enter(first);
  EXPECT_EQ(log.oldest_unfinished().sequence, first);
  log.Finish(first);
  EXPECT_EQ(log.oldest_unfinished().sequence, 0);
}

TEST(OperationLogTest, WhatWasOnlyAskedForIsNotEntered) {
  OperationLog log;
  const int64_t sequence = log.Ask("gather", 8, {0});
  EXPECT_FALSE(log.HasEntered(sequence));
  EXPECT_FALSE(log.HasEntered(sequence + 1));
  log.Enter(sequence);
  EXPECT_TRUE(log.HasEntered(sequence));
}

TEST(OperationLogTest, FinishedOperationsAreDroppedAndWereEntered) {
  OperationLog log;
  for (size_t i = 0; i <= OperationLog::kKept; ++i) Do(log, "sum");
  EXPECT_THAT(log.Describe(), testing::Not(testing::HasSubstr("  1  sum")));
  EXPECT_THAT(log.Describe(), testing::HasSubstr("  2  sum  8 bytes  ranks 0,1"));
  EXPECT_TRUE(log.HasEntered(1));
}

TEST(OperationLogTest, AnUnfinishedOperationIsNeverDropped) {
  OperationLog log;
  const int64_t stuck = log.Ask("stuck", 8, {0, 1});
  for (size_t i = 0; i < 3 * OperationLog::kKept; ++i) Do(log, "sum");
  EXPECT_EQ(log.oldest_unfinished().name, "stuck");
  EXPECT_THAT(log.Describe(), testing::HasSubstr("stuck"));
  log.Enter(stuck);
  EXPECT_TRUE(log.HasEntered(stuck));
  log.Finish(stuck);
  Do(log, "sum");
  EXPECT_THAT(log.Describe(), testing::Not(testing::HasSubstr("stuck")));
  EXPECT_EQ(log.oldest_unfinished().sequence, 0);
}

}  // namespace
}  // namespace routewright
