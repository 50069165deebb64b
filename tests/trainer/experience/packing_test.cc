#include "trainer/experience/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/random.h"

namespace routewright {
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

// Of all micro-batches' budgets, when there is enough to fill them.
TEST(PackingTest, AtMostThreeInAHundredTokensOfTheBudgetStayEmpty) {
  constexpr int64_t kBudget = 8192;
  for (const int ranks : {1, 2, 4}) {
    // Lengths as episodes have them, log-normal from 50 to 2,000, added until 6 budgets are full.
    std::vector<int64_t> lengths;
    int64_t total = 0;
    for (int i = 0; total < ranks * 6 * kBudget * 98 / 100; ++i) {
      const double uniform = RandomUniform(/*key=*/11, 2 * i);
      const double normal = std::sqrt(-2 * std::log(1 - uniform)) *
                            std::cos(6.283185307 * RandomUniform(/*key=*/11, 2 * i + 1));
      lengths.push_back(std::clamp<int64_t>(std::llround(400 * std::exp(0.7 * normal)), 50, 2000));
      total += lengths.back();
    }
    const PackingPlan plan =
        PackTrajectories(lengths, ranks, kBudget, {.pivot_tokens = 4000}).value();
    const double budgets = static_cast<double>(ranks * plan[0].size() * kBudget);
    EXPECT_LE(1.0 - static_cast<double>(total) / budgets, 0.03) << ranks << " ranks";
  }
}

TEST(PackingTest, LongTrajectoriesCountForTheirAttention) {
  // Four long ones and forty short ones of as many tokens in all: equal tokens would give a rank
  // half as much attention again.
  std::vector<int64_t> lengths(4, 1000);
  lengths.insert(lengths.end(), 40, 100);
  lengths.push_back(3000);
  const PackingWork work{.pivot_tokens = 1000};
  const PackingPlan plan = PackTrajectories(lengths, 2, 8192, work).value();
  std::vector<double> done;
  for (const auto& rank : plan) {
    double sum = 0.0;
    for (const auto& places : rank) {
      for (int place : places) sum += work.Of(lengths[place]);
    }
    done.push_back(sum);
  }
  EXPECT_LE(*std::max_element(done.begin(), done.end()),
            1.02 * *std::min_element(done.begin(), done.end()));
}

TEST(PackingTest, WorkOfAModelGrowsWithItsAttention) {
  ModelConfig qwen;  // Qwen2.5-3B: 3.09 G parameters, 36 layers of 16 heads of 128
  qwen.vocabulary_size = 151936;
  qwen.width = 2048;
  qwen.intermediate_width = 11008;
  qwen.num_layers = 36;
  qwen.num_heads = 16;
  qwen.num_kv_heads = 2;
  qwen.head_width = 128;
  qwen.is_tied = true;
  EXPECT_NEAR(WorkOf(qwen).pivot_tokens, 3.0857e9 / (36 * 16 * 128), 100);
  EXPECT_NEAR(WorkOf(qwen).Of(1000), 1000 * (1 + 1000 / WorkOf(qwen).pivot_tokens), 1e-6);
}

TEST(PackingTest, ImbalanceIsWhatTheLargestShareOfEachMicroBatchCosts) {
  const std::vector<int64_t> lengths = {10, 30, 20, 20};
  const PackingPlan uneven = {{{0}, {2}}, {{1}, {3}}}, even = {{{0, 1}}, {{2, 3}}};
  EXPECT_DOUBLE_EQ(WorkImbalance(uneven, lengths, {}), (30.0 + 20.0) / (20.0 + 20.0) - 1.0);
  EXPECT_DOUBLE_EQ(WorkImbalance(even, lengths, {}), 0.0);
  EXPECT_GT(WorkImbalance(even, lengths, {.pivot_tokens = 10.0}), 0.0);  // 30² + 10² > 2 · 20²
  EXPECT_DOUBLE_EQ(WorkImbalance({{{}}, {{}}}, {}, {}), 0.0);
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
}  // namespace routewright
