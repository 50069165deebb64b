// Learning over 1, 2, 3 and 4 ranks, at every stage of sharding, with and without recomputation,
// packed and not, in 1, 2 and 5 micro-batches, must give what one rank gives: the same losses,
// gradient norms and weights, from the same recorded trajectories. Every rank learns with the
// others; rank 0 also learns alone, as the only rank of a world of its own.
//
// Bits are the same where the order of sums is:
//   * any stage with itself: with recomputation or without, prefetched or not, offloaded or not;
//   * replicated and optimizer; gradients and full: both sum over ranks, then over micro-batches,
//     or the other way round;
//   * all four with one micro-batch; within_host too where each host has one rank, or there is one
//     host.
// sharding_models_test varies what is learnt; sharding_mutation_test breaks what these tests guard.
#include <gmock/gmock.h>

#include "tests/trainer/update/sharded_learning.h"
#include "trainer/comm/checked_communicator.h"

namespace routewright {
namespace {

// The full product of ways to lay the work out.
void ExpectEveryStageLearnsTheSame(Variant variant) {
  std::vector<Learnt> at_stage;
  for (const auto stage : kStages) {
    variant.stage = stage;
    variant.recompute = false;
    const Learnt plain = Learn(variant, world);
    ExpectSame(plain, LearnAlone(variant), variant);
    EXPECT_EQ(plain.micro_batches, variant.accumulation) << Name(variant);
    variant.recompute = true;
    EXPECT_TRUE(HasSameBits(Learn(variant, world), plain)) << Name(variant);
    at_stage.push_back(plain);
  }
  EXPECT_TRUE(HasSameBits(at_stage[1], at_stage[0]));  // optimizer and replicated
  EXPECT_TRUE(HasSameBits(at_stage[3], at_stage[2]));  // full and gradients
  if (variant.accumulation == 1) {
    EXPECT_TRUE(HasSameBits(at_stage[3], at_stage[0]));
  }
}

TEST(ShardingTest, EveryStageOfPackedTrajectoriesLearnsWhatOneRankLearns) {
  for (const int accumulation : {1, 2, 5}) {
    ExpectEveryStageLearnsTheSame({.accumulation = accumulation});
  }
}

// Each micro-batch holds one trajectory; alone, rank 0 learns from all of them packed together.
TEST(ShardingTest, EveryStageOfUnpackedTrajectoriesLearnsWhatOneRankLearns) {
  for (const int accumulation : {1, 2, 5}) {
    ExpectEveryStageLearnsTheSame({.is_packed = false, .accumulation = accumulation});
  }
}

// The batch that is packed elsewhere, in micro-batches that few pairs of trajectories fit into.
TEST(ShardingTest, ManySmallMicroBatchesLearnWhatOneRankLearnsFromOne) {
  for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_FULL}) {
    const Variant variant{.stage = stage, .tokens_at_once = kLongest};
    const Learnt learnt = Learn(variant, world);
    ExpectSame(learnt, LearnAlone(variant), variant);
    EXPECT_GE(learnt.micro_batches, kTrajectories / world->size() / 2.0);
  }
}

// One trajectory and several ranks, in every step.
TEST(ShardingTest, RanksWithoutTrajectoriesTakePart) {
  for (const auto algorithm : {TrainerConfig::ALGORITHM_GRPO, TrainerConfig::ALGORITHM_PPO}) {
    for (const auto stage : kStages) {
      Variant variant{.algorithm = algorithm, .stage = stage, .most_trajectories = 1};
      ExpectSame(Learn(variant, world), LearnAlone(variant), variant);
    }
  }
}

// Also where ranks have fewer micro-batches than others, or none.
TEST(ShardingTest, EveryRankStartsTheSameCollectivesInTheSameOrder) {
  const auto checked = NewCheckedCommunicator(world->Split("all of them", /*color=*/0).value());
  for (const auto stage : kStages) {
    const Variant variant{.algorithm = TrainerConfig::ALGORITHM_PPO,
                          .shares_trunk = true,
                          .stage = stage,
                          .tokens_at_once = kLongest,
                          .most_trajectories = 11};
    EXPECT_TRUE(HasSameBits(Learn(variant, checked.get()), Learn(variant, world)));
  }
}

TEST(ShardingTest, GatheringWhenNeededOrAheadHasTheSameBits) {
  Variant variant{.stage = ShardingConfig::STAGE_FULL, .recompute = true, .accumulation = 2};
  const Learnt ahead = Learn(variant, world);
  variant.is_prefetched = false;
  EXPECT_TRUE(HasSameBits(Learn(variant, world), ahead));
}

TEST(ShardingTest, OffloadChangesNoBit) {
  for (const auto stage : kStages) {
    Variant variant{.stage = stage};
    const Learnt here = Learn(variant, world);
    for (const auto offload : {ShardingConfig::OFFLOAD_OPTIMIZER, ShardingConfig::OFFLOAD_ALL}) {
      variant.offload = offload;
      EXPECT_TRUE(HasSameBits(Learn(variant, world), here)) << Name(variant);
    }
  }
}

// Two hosts, as far as sharding can tell.
TEST(ShardingTest, ShardsWithinAHostAndReplicatesAcross) {
  if (world->size() % 2 != 0) return;
  for (const auto stage : {ShardingConfig::STAGE_OPTIMIZER, ShardingConfig::STAGE_GRADIENTS,
                           ShardingConfig::STAGE_FULL}) {
    for (const auto algorithm : {TrainerConfig::ALGORITHM_GRPO, TrainerConfig::ALGORITHM_PPO}) {
      Variant variant{.algorithm = algorithm,
                      .stage = stage,
                      .accumulation = 2,
                      .within_host = true,
                      .host = absl::StrCat("host", world->rank() % 2)};
      const Learnt plain = Learn(variant, world);
      ExpectSame(plain, LearnAlone(variant), variant);
      variant.recompute = true;
      EXPECT_TRUE(HasSameBits(Learn(variant, world), plain)) << Name(variant);
    }
  }
}

TEST(ShardingTest, OneHostOrARankAHostHasTheBitsOfNoHosts) {
  for (const auto stage : {ShardingConfig::STAGE_OPTIMIZER, ShardingConfig::STAGE_FULL}) {
    Variant variant{.stage = stage};
    const Learnt without_hosts = Learn(variant, world);
    variant.within_host = true;
    for (const std::string& host : {std::string("one"), absl::StrCat("host", world->rank())}) {
      variant.host = host;
      EXPECT_TRUE(HasSameBits(Learn(variant, world), without_hosts)) << Name(variant);
    }
  }
}

TEST(ShardingTest, HostsWithUnequalRanksAreNamed) {
  if (world->size() != 3) return;
  ShardingConfig config;
  config.set_stage(ShardingConfig::STAGE_FULL);
  config.set_within_host(true);
  const auto groups = RankGroups::Make(world, config, world->rank() == 0 ? "a" : "b");
  EXPECT_EQ(groups.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(groups.status().message()), ::testing::HasSubstr("1, 2"));
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunTestsOnRanks(argc, argv); }
