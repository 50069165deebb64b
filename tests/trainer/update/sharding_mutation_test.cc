// What the sharding tests guard, broken on purpose, one thing at a time: each comparison of theirs
// must notice. A fault shows in what ExpectSame compares, or where bits are promised, in those.
#include "tests/trainer/comm/spoiling_communicator.h"
#include "tests/trainer/update/sharded_learning.h"
#include "trainer/comm/checked_communicator.h"

namespace routewright {
namespace {

constexpr auto kReplicated = ShardingConfig::STAGE_REPLICATED;
constexpr auto kOptimizer = ShardingConfig::STAGE_OPTIMIZER;
constexpr auto kGradients = ShardingConfig::STAGE_GRADIENTS;
constexpr auto kFull = ShardingConfig::STAGE_FULL;

Learnt LearnSpoilt(const Variant& variant, const Spoilt& spoilt) {
  SpoilingCommunicator spoiling(world, spoilt);
  return Learn(variant, &spoiling);
}

void ExpectNoticed(const Variant& variant, const Spoilt& spoilt, const Difference& limit = {}) {
  if (world->size() == 1) return;  // nobody to lose anything from
  SCOPED_TRACE(spoilt.prefix);
  ExpectDifferent(LearnSpoilt(variant, spoilt), LearnAlone(variant), variant, limit);
}

void ExpectBitsNoticed(const Variant& variant, const Spoilt& spoilt, const Variant& other) {
  const bool has_same_bits = HasSameBits(LearnSpoilt(variant, spoilt), Learn(other, world));
  EXPECT_FALSE(world->rank() == 0 && has_same_bits) << Name(variant) << " " << spoilt.prefix;
}

// ---- Stages. ----

TEST(ShardingMutationTest, WithoutTheGradientsSumTheyDiffer) {
  for (const auto stage : kStages) {
    ExpectNoticed({.stage = stage}, {.fault = Fault::kUnsummed,
                                     .prefix = stage == kReplicated ? "gradient/policy/"
                                                                    : "reduce_gradient/policy/"});
  }
}

TEST(ShardingMutationTest, WithoutTheNormsSumTheyDiffer) {
  ExpectNoticed({.stage = kFull}, {.fault = Fault::kUnsummed, .prefix = "gradient_norm/policy"});
}

TEST(ShardingMutationTest, WithoutTheGathersTheyDiffer) {
  ExpectNoticed({.stage = kOptimizer}, {.fault = Fault::kUngathered, .prefix = "update/policy/"});
  ExpectNoticed({.stage = kGradients}, {.fault = Fault::kUngathered, .prefix = "update/policy/"});
  for (const bool is_prefetched : {true, false}) {
    ExpectNoticed({.stage = kFull, .is_prefetched = is_prefetched},
                  {.fault = Fault::kUngathered, .prefix = "gather/policy/"});
  }
}

TEST(ShardingMutationTest, WithoutTheBackwardsGatherRecomputationDiffers) {
  ExpectNoticed({.stage = kFull, .recompute = true},
                {.fault = Fault::kLost, .prefix = "gather/policy/block.0", .every = 2});
}

TEST(ShardingMutationTest, WithoutOneMicroBatchsGradientAccumulationDiffers) {
  for (const auto stage : {kGradients, kFull}) {
    ExpectNoticed({.stage = stage, .accumulation = 2},
                  {.fault = Fault::kLost, .prefix = "reduce_gradient/policy/block.0", .every = 2});
  }
}

// The last rank's second trajectory: each is a micro-batch.
TEST(ShardingMutationTest, WithoutOneTrajectoryOfARankUnpackedDiffers) {
  ExpectNoticed({.stage = kFull, .is_packed = false, .accumulation = 2},
                {.fault = Fault::kLost,
                 .prefix = "reduce_gradient/policy/",
                 .every = 2,
                 .only_rank = world->size() - 1});
}

// Two trajectories whose boundary is lost are attended to as one. Supervised: nothing else changes.
TEST(ShardingMutationTest, PackedTrajectoriesThatSeeEachOtherDiffer) {
  const auto join_first_two = [](Batch& batch) {
    if (batch.num_trajectories() < 2) return;
    batch.offsets.erase(batch.offsets.begin() + 1);
    batch.scored_offsets.erase(batch.scored_offsets.begin() + 1);
    batch.rewards.erase(batch.rewards.begin());
    batch.groups.erase(batch.groups.begin());
  };
  for (const auto stage : {kReplicated, kFull}) {
    const Variant variant{.algorithm = TrainerConfig::ALGORITHM_SUPERVISED, .stage = stage};
    ExpectDifferent(Learn(variant, world, join_first_two), LearnAlone(variant), variant);
  }
}

// Ranks without trajectories add zeros, and nothing else.
TEST(ShardingMutationTest, WhatARankWithoutTrajectoriesAddsIsNoticed) {
  for (const auto stage : {kReplicated, kFull}) {
    ExpectNoticed({.stage = stage, .most_trajectories = 1},
                  {.fault = Fault::kShifted,
                   .prefix = stage == kReplicated ? "gradient/policy/" : "reduce_gradient/policy/",
                   .only_rank = world->size() - 1});
  }
}

// ---- Groups of hosts. ----

TEST(ShardingMutationTest, WithoutTheSumsBetweenHostsOrInThemTheyDiffer) {
  if (world->size() % 2 != 0) return;
  for (const auto stage : {kOptimizer, kGradients, kFull}) {
    const Variant variant{
        .stage = stage, .within_host = true, .host = absl::StrCat("host", world->rank() % 2)};
    ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "gradient/policy/"});
    if (world->size() == 2) continue;  // one rank a host
    ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "reduce_gradient/policy/"});
    ExpectNoticed(variant, {.fault = Fault::kUngathered,
                            .prefix = stage == kFull ? "gather/policy/" : "update/policy/"});
  }
}

// ---- Models beside the policy. ----

TEST(ShardingMutationTest, WithoutTheReferencePolicyTheyDiffer) {
  ExpectNoticed({.stage = kFull}, {.fault = Fault::kUngathered, .prefix = "gather/reference/"});
  for (const auto stage : {kOptimizer, kGradients}) {
    ExpectNoticed({.stage = stage}, {.fault = Fault::kUngathered, .prefix = "update/reference/"});
  }
}

TEST(ShardingMutationTest, WithoutTheCriticsCollectivesTheyDiffer) {
  Variant variant{.algorithm = TrainerConfig::ALGORITHM_PPO, .stage = kReplicated};
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "gradient/critic/"});
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "gradient_norm/critic"});
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "values"});
  variant.stage = kOptimizer;
  ExpectNoticed(variant, {.fault = Fault::kUngathered, .prefix = "update/critic/"});
  variant.stage = kFull;
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "reduce_gradient/critic/"});
  ExpectNoticed(variant, {.fault = Fault::kUngathered, .prefix = "gather/critic/"});
}

TEST(ShardingMutationTest, WithoutTheValueHeadsCollectivesTheyDiffer) {
  Variant variant{
      .algorithm = TrainerConfig::ALGORITHM_PPO, .shares_trunk = true, .stage = kReplicated};
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "gradient/value_head/"});
  variant.stage = kGradients;
  ExpectNoticed(variant, {.fault = Fault::kUngathered, .prefix = "update/value_head/"});
  variant.stage = kFull;
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "reduce_gradient/value_head/"});
  ExpectNoticed(variant, {.fault = Fault::kUngathered, .prefix = "gather/value_head/"});
}

TEST(ShardingMutationTest, WithoutAnUntiedHeadTheyDiffer) {
  const Variant variant{.stage = kFull, .is_tied = false};
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "reduce_gradient/policy/head"});
  ExpectNoticed(variant, {.fault = Fault::kUngathered, .prefix = "gather/policy/head"});
}

TEST(ShardingMutationTest, WithoutTheGradientsSumBfloatDiffersByMoreThanItsRounding) {
  ExpectNoticed({.stage = kReplicated, .compute_type = at::kBFloat16},
                {.fault = Fault::kUnsummed, .prefix = "gradient/policy/"}, kBfloatLimit);
  ExpectNoticed({.stage = kFull, .compute_type = at::kBFloat16},
                {.fault = Fault::kUnsummed, .prefix = "reduce_gradient/policy/"}, kBfloatLimit);
}

TEST(ShardingMutationTest, WithoutAMiniBatchOrItsOldPolicyTheyDiffer) {
  const Variant variant{
      .stage = kReplicated, .tokens_at_once = 400, .mini_batches = 3, .importance_cap = 1.05};
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "gradient/policy/", .every = 3});
  ExpectNoticed(variant, {.fault = Fault::kUnsummed, .prefix = "old_logprobs"});
}

// ---- Bits. ----

// Offloaded state takes the ways of sharded state; copies to a GPU and back are made on GPUs only.
TEST(ShardingMutationTest, WithoutItsCollectivesOffloadHasOtherBits) {
  if (world->size() == 1) return;
  const auto expect_noticed = [](ShardingConfig::Stage stage, ShardingConfig::Offload offload,
                                 Fault fault, const char* prefix) {
    ExpectBitsNoticed({.stage = stage, .offload = offload}, {.fault = fault, .prefix = prefix},
                      {.stage = stage});
  };
  expect_noticed(kReplicated, ShardingConfig::OFFLOAD_ALL, Fault::kUnsummed, "gradient/policy/");
  expect_noticed(kOptimizer, ShardingConfig::OFFLOAD_OPTIMIZER, Fault::kUngathered,
                 "update/policy/");
  expect_noticed(kGradients, ShardingConfig::OFFLOAD_ALL, Fault::kUngathered, "gather/policy/");
  expect_noticed(kFull, ShardingConfig::OFFLOAD_ALL, Fault::kUnsummed, "reduce_gradient/policy/");
}

TEST(ShardingMutationTest, BfloatGradientsOnTheWireHaveOtherBits) {
  if (world->size() == 1) return;
  const Variant replicated{.compute_type = at::kBFloat16};
  for (const auto stage : {kOptimizer, kFull}) {
    Variant variant = replicated;
    variant.stage = stage;
    ExpectBitsNoticed(variant, {.fault = Fault::kRounded, .prefix = "reduce_gradient/policy/"},
                      replicated);
    ExpectBitsNoticed(variant,
                      {.fault = Fault::kUngathered,
                       .prefix = stage == kFull ? "gather/policy/" : "update/policy/"},
                      replicated);
  }
}

// Of two terms the sum has no order.
TEST(ShardingMutationTest, SumsInAnotherOrderOfRanksHaveOtherBits) {
  if (world->size() < 3) return;
  for (const auto stage : {kOptimizer, kGradients, kFull}) {
    ExpectBitsNoticed({.stage = stage},
                      {.fault = Fault::kBackwards, .prefix = "reduce_gradient/policy/"},
                      {.stage = kReplicated});
  }
}

TEST(ShardingMutationTest, WithoutItsGathersOneHostHasOtherBits) {
  if (world->size() == 1) return;
  ExpectBitsNoticed({.stage = kFull, .within_host = true, .host = "one"},
                    {.fault = Fault::kUngathered, .prefix = "gather/policy/block.1"},
                    {.stage = kFull});
}

TEST(ShardingMutationTest, RecomputationFromOtherWeightsHasOtherBits) {
  if (world->size() == 1) return;
  ExpectBitsNoticed({.stage = kFull, .recompute = true},
                    {.fault = Fault::kLost, .prefix = "gather/policy/block.1", .every = 2},
                    {.stage = kFull});
}

// ---- Order. ----

// The last rank gathers when it needs to, the others ahead.
TEST(ShardingMutationTest, RanksThatGatherInOtherOrdersAreToldSo) {
  if (world->size() == 1) return;
  const bool is_last = world->rank() + 1 == world->size();
  const Variant variant{.stage = kFull, .is_prefetched = !is_last};
  UpdateOptions options = MakeUpdateOptions(variant, world->size());
  const auto checked = NewCheckedCommunicator(world->Split("all of them", /*color=*/0).value());
  const auto groups = RankGroups::Make(checked.get(), options.config.sharding()).value();
  options.groups = groups.get();
  PolicyUpdate update(options);
  const TensorSource initial = TensorsOf(TinyModelWeights(options.model, 1));
  ASSERT_TRUE(update.Initialize(world->rank() == 0 ? &initial : nullptr).ok());
  const absl::Status status = update.Run(BatchOfStep(variant, 0), 0, 0.05).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("different orders"), std::string::npos) << status;
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunTestsOnRanks(argc, argv); }
