#include "trainer/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/random.h"

namespace switchyard {
namespace {

std::vector<int64_t> UnequalLengths(int count, int64_t longest) {
  std::vector<int64_t> lengths(count);
  for (int i = 0; i < count; ++i) lengths[i] = 1 + RandomBits(/*key=*/7, i) % longest;
  return lengths;
}

int64_t Tokens(const std::vector<int>& places, const std::vector<int64_t>& lengths) {
  int64_t tokens = 0;
  for (int place : places) tokens += lengths[place];
  return tokens;
}

TEST(PackingTest, EveryTrajectoryIsInExactlyOneMicroBatchThatHoldsIt) {
  const std::vector<int64_t> lengths = UnequalLengths(129, 300);
  for (int ranks : {1, 2, 3, 4, 7}) {
    const PackingPlan plan = PackTrajectories(lengths, ranks, 1024).value();
    ASSERT_EQ(plan.size(), static_cast<size_t>(ranks));
    std::vector<int> seen;
    for (const auto& rank : plan) {
      EXPECT_EQ(rank.size(), plan[0].size()) << "every rank takes part in every collective";
      for (const auto& places : rank) {
        EXPECT_LE(Tokens(places, lengths), 1024);
        EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
        seen.insert(seen.end(), places.begin(), places.end());
      }
    }
    std::sort(seen.begin(), seen.end());
    std::vector<int> all(lengths.size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all);
  }
}

TEST(PackingTest, RanksCarryNearlyTheSame) {
  const std::vector<int64_t> lengths = UnequalLengths(128, 200);
  const PackingPlan plan = PackTrajectories(lengths, 4, 8192).value();
  std::vector<int64_t> tokens;
  for (const auto& rank : plan) tokens.push_back(Tokens(rank[0], lengths));
  EXPECT_LE(*std::max_element(tokens.begin(), tokens.end()),
            1.03 * *std::min_element(tokens.begin(), tokens.end()));
}

TEST(PackingTest, FewerTrajectoriesThanRanksLeaveEmptyMicroBatches) {
  const std::vector<int64_t> lengths = {5, 9};
  const PackingPlan plan = PackTrajectories(lengths, 4, 16).value();
  EXPECT_THAT(plan, ::testing::ElementsAre(::testing::ElementsAre(::testing::ElementsAre(1)),
                                           ::testing::ElementsAre(::testing::ElementsAre(0)),
                                           ::testing::ElementsAre(::testing::IsEmpty()),
                                           ::testing::ElementsAre(::testing::IsEmpty())));
}

TEST(PackingTest, NoTrajectoriesAreOneEmptyMicroBatch) {
  const PackingPlan plan = PackTrajectories({}, 2, 16).value();
  EXPECT_EQ(plan, PackingPlan(2, std::vector<std::vector<int>>(1)));
}

TEST(PackingTest, ATrajectoryThatCannotFitIsRefusedByName) {
  const std::vector<int64_t> lengths = {5, 17};
  const absl::Status status = PackTrajectories(lengths, 1, 16).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(::testing::HasSubstr("trajectory 1"), ::testing::HasSubstr("17"),
                               ::testing::HasSubstr("trainer.max_micro_batch_tokens")));
}

}  // namespace
}  // namespace switchyard
