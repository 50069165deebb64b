// What is learnt over 1, 2, 3 and 4 ranks, and by which model: every algorithm, loss and shape of
// model gives what one rank gives. Ways to lay the work out are in sharding_test; here each is met
// at the stages and layouts that its own collectives depend on, not at all of them.
#include "tests/trainer/update/sharded_learning.h"

namespace routewright {
namespace {

void ExpectLearnsWhatOneRankLearns(const Variant& variant, const Difference& limit = {}) {
  ExpectSame(Learn(variant, world), LearnAlone(variant), variant, limit);
}

TEST(ShardingModelsTest, EveryAlgorithmLearnsShardedWhatOneRankLearns) {
  for (const auto algorithm : {TrainerConfig::ALGORITHM_PPO, TrainerConfig::ALGORITHM_SUPERVISED}) {
    for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_FULL}) {
      ExpectLearnsWhatOneRankLearns({.algorithm = algorithm, .stage = stage, .accumulation = 2});
    }
  }
}

TEST(ShardingModelsTest, ACriticOnThePolicysTrunkIsShardedWithIt) {
  for (const auto stage : kStages) {
    ExpectLearnsWhatOneRankLearns({.algorithm = TrainerConfig::ALGORITHM_PPO,
                                   .shares_trunk = true,
                                   .stage = stage,
                                   .recompute = true,
                                   .accumulation = 2});
  }
}

// Mini-batches are packed anew: a trajectory moves to another rank than scored it.
TEST(ShardingModelsTest, SeveralMiniBatchesWithCappedWeightsLearnTheSame) {
  std::vector<Learnt> at_stage;
  for (const auto stage : kStages) {
    const Variant variant{
        .stage = stage, .tokens_at_once = 400, .mini_batches = 3, .importance_cap = 1.05};
    at_stage.push_back(Learn(variant, world));
    ExpectSame(at_stage.back(), LearnAlone(variant), variant);
  }
  EXPECT_TRUE(HasSameBits(at_stage[1], at_stage[0]));
  EXPECT_TRUE(HasSameBits(at_stage[3], at_stage[2]));
  ExpectLearnsWhatOneRankLearns({.algorithm = TrainerConfig::ALGORITHM_PPO,
                                 .stage = ShardingConfig::STAGE_FULL,
                                 .is_prefetched = false,
                                 .mini_batches = 2});
}

// Biases of Qwen2, norms of heads of Qwen3; a tied Llama is in every other test.
TEST(ShardingModelsTest, EveryArchitectureIsShardedTiedAndNot) {
  for (const ArchitectureFacts& facts : Architectures()) {
    const Architecture architecture = facts.name;
    ExpectLearnsWhatOneRankLearns({.stage = ShardingConfig::STAGE_FULL,
                                   .recompute = true,
                                   .accumulation = 2,
                                   .architecture = architecture,
                                   .is_tied = false});
    if (architecture == Architecture::kLlama) continue;
    ExpectLearnsWhatOneRankLearns({.stage = ShardingConfig::STAGE_OPTIMIZER,
                                   .accumulation = 2,
                                   .architecture = architecture});
  }
}

// The wire carries bf16, sums are f32: the gathered weights are those that one rank rounds.
TEST(ShardingModelsTest, BfloatComputeHasTheSameBitsOnEveryStage) {
  Variant variant{.compute_type = at::kBFloat16};
  const Learnt replicated = Learn(variant, world);
  for (const auto stage : kStages) {
    variant.stage = stage;
    EXPECT_TRUE(HasSameBits(Learn(variant, world), replicated)) << Name(variant);
  }
}

TEST(ShardingModelsTest, BfloatComputeLearnsNearlyWhatOneRankLearnsInBfloat) {
  for (const int accumulation : {1, 2}) {
    for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_FULL}) {
      ExpectLearnsWhatOneRankLearns(
          {.stage = stage, .accumulation = accumulation, .compute_type = at::kBFloat16},
          kBfloatLimit);
    }
  }
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunTestsOnRanks(argc, argv); }
