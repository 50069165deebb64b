// What a rank holds, counted, against what the plan says: whole steps of three sizes of model at
// two token budgets, and the state at every stage. Runs as several MPI ranks.
#include "launch/plan/memory_plan.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/counting_allocator.h"
#include "tests/trainer/comm/run_as_ranks.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

Communicator* world = nullptr;
constexpr int kTokens = 128;  // of each trajectory

ModelConfig MakeModel(int64_t width, int64_t layers, int64_t vocabulary_size) {
  ModelConfig config = TinyModelConfig();
  config.width = width;
  config.intermediate_width = 3 * width;
  config.num_layers = layers;
  config.vocabulary_size = vocabulary_size;
  config.num_heads = width / 32;
  config.num_kv_heads = width / 64;
  config.head_width = 32;
  config.max_positions = 256;
  return config;
}

struct Counted {
  int64_t state = 0, peak = 0;
};

// The bytes of this rank beside what there was before: between steps, and at most in the second of
// two steps of two full micro-batches each.
Counted CountSteps(const PlanInput& input) {
  CountingAllocator& memory = CountingAllocator::Install();
  const int64_t before = memory.current();
  UpdateOptions options;
  options.model = input.model;
  options.config = input.config;
  options.compute_type = input.bytes_per_element == 2 ? at::kBFloat16 : at::kFloat;
  const auto groups = RankGroups::Make(world, input.config.sharding()).value();
  options.groups = groups.get();
  const auto update = std::make_unique<PolicyUpdate>(options);
  {
    const auto weights = TinyModelWeights(input.model, 1);
    const TensorSource initial = TensorsOf(weights);
    EXPECT_TRUE(update->Initialize(world->rank() == 0 ? &initial : nullptr).ok());
  }
  const int per_rank = 2 * input.config.max_micro_batch_tokens() / kTokens;
  const Batch batch =
      RecordEqualBatch(per_rank * world->size(), kTokens, 7, input.model.vocabulary_size);
  EXPECT_EQ(update->Run(batch, 0, 0.05).value().micro_batches_per_rank, 2);
  Counted counted;
  counted.state = memory.current() - before;
  memory.ResetPeak();
  EXPECT_TRUE(update->Run(batch, 1, 0.05).ok());
  counted.peak = memory.peak() - before;
  return counted;
}

PlanInput MakeInput(const ModelConfig& model, ShardingConfig::Stage stage, int tokens) {
  PlanInput input;
  input.model = model;
  input.ranks = input.ranks_per_host = world->size();
  input.config.set_algorithm(TrainerConfig::ALGORITHM_GRPO);
  input.config.set_steps(10);
  input.config.set_max_micro_batch_tokens(tokens);
  input.config.mutable_checkpoint()->set_asynchronous(false);  // none is written here
  input.config.mutable_sharding()->set_stage(stage);
  return input;
}

void ExpectPlanned(const PlanInput& input) {
  const MemoryPlan plan = PlanMemory(input);
  const Counted counted = CountSteps(input);
  const auto planned_state = static_cast<double>(plan.state());
  const auto planned_peak = static_cast<double>(plan.peak());
  SCOPED_TRACE(testing::Message() << "C " << input.model.width << " T "
                                  << input.config.max_micro_batch_tokens() << " "
                                  << ShardingConfig::Stage_Name(input.config.sharding().stage())
                                  << " recompute " << input.config.recompute_activations()
                                  << " bytes " << input.bytes_per_element);
  constexpr double kRotationTables = 3 * 65536.0;  // of policy, critic and reference
  EXPECT_NEAR(static_cast<double>(counted.state), planned_state,
              0.01 * planned_state + kRotationTables);
  EXPECT_NEAR(static_cast<double>(counted.peak), planned_peak, 0.10 * planned_peak);
  if (world->rank() != 0) return;
  std::printf(
      "C %lld T %d %s recompute %d%s: state %.2f MiB (plan %.2f), peak %.1f MiB (plan %.1f, %+.1f "
      "%%)\n",
      static_cast<long long>(input.model.width), input.config.max_micro_batch_tokens(),
      ShardingConfig::Stage_Name(input.config.sharding().stage()).c_str(),
      input.config.recompute_activations(), input.bytes_per_element == 2 ? " bf16" : "",
      counted.state / 1048576.0, planned_state / 1048576.0, counted.peak / 1048576.0,
      planned_peak / 1048576.0, 100.0 * (planned_peak / static_cast<double>(counted.peak) - 1.0));
}

TEST(MemoryPlanTest, AStepsPeakIsWithinATenthOfThePlan) {
  const ModelConfig models[] = {MakeModel(64, 4, 512), MakeModel(128, 6, 1024),
                                MakeModel(192, 8, 4096)};
  for (const ModelConfig& model : models) {
    for (const int tokens : {256, 1024}) {
      for (const bool recompute : {false, true}) {
        PlanInput input = MakeInput(model, ShardingConfig::STAGE_FULL, tokens);
        input.config.set_recompute_activations(recompute);
        ExpectPlanned(input);
      }
    }
  }
}

// The public shape of Qwen2.5-3B, its widths, vocabulary and head divided by `scale`.
ModelConfig Qwen3Billion(int64_t scale) {
  ModelConfig config = TinyModelConfig();
  config.SetArchitecture(Architecture::kQwen2);
  config.width = 2048 / scale;
  config.intermediate_width = 11008 / scale;
  config.num_layers = 36;
  config.vocabulary_size = 151936 / scale;
  config.num_heads = 16;
  config.num_kv_heads = 2;
  config.head_width = 128 / scale;
  config.max_positions = 32768;
  config.is_tied = true;
  return config;
}

// An eighth in every direction: parameters, and activations of an eighth of the tokens, are a 64th.
TEST(MemoryPlanTest, ThePlanOfThreeBillionParametersHoldsWhenScaledDown) {
  constexpr int kScale = 8, kTokensAtOnce = 4096;
  for (const bool recompute : {false, true}) {
    PlanInput scaled =
        MakeInput(Qwen3Billion(kScale), ShardingConfig::STAGE_FULL, kTokensAtOnce / kScale);
    scaled.config.set_recompute_activations(recompute);
    scaled.config.set_max_head_chunk_mib(1);
    ExpectPlanned(scaled);
    PlanInput whole = MakeInput(Qwen3Billion(1), ShardingConfig::STAGE_FULL, kTokensAtOnce);
    whole.config.set_recompute_activations(recompute);
    whole.config.set_max_head_chunk_mib(kScale * kScale);
    const double peak = static_cast<double>(PlanMemory(whole).peak());
    const double from_scaled = static_cast<double>(PlanMemory(scaled).peak()) * kScale * kScale;
    EXPECT_NEAR(from_scaled, peak, 0.05 * peak);
    if (world->rank() == 0) {
      std::printf("Qwen2.5-3B: plan %.2f GiB, 64 times the scaled one's %.2f GiB\n",
                  peak / (1 << 30), from_scaled / (1 << 30));
    }
  }
}

TEST(MemoryPlanTest, EveryStageIsWithinATenthOfThePlan) {
  for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_OPTIMIZER,
                           ShardingConfig::STAGE_GRADIENTS}) {
    PlanInput input = MakeInput(MakeModel(128, 6, 1024), stage, 512);
    ExpectPlanned(input);
    input.config.mutable_loss()->set_kl_coefficient(0.05);
    ExpectPlanned(input);
    input.config.set_algorithm(TrainerConfig::ALGORITHM_PPO);
    ExpectPlanned(input);
    input.config.mutable_critic()->set_shares_trunk(true);
    ExpectPlanned(input);
  }
}

// Where the norms keep f32: without recomputation that is a sixth of the peak.
TEST(MemoryPlanTest, AStepInBfloatOnTheCpuIsWithinATenthOfThePlan) {
  for (const auto& [width, tokens] : {std::pair(64, 1024), std::pair(128, 256)}) {
    for (const bool recompute : {false, true}) {
      PlanInput input = MakeInput(MakeModel(width, 6, 1024), ShardingConfig::STAGE_FULL, tokens);
      input.bytes_per_element = 2;
      input.config.set_recompute_activations(recompute);
      ExpectPlanned(input);
    }
  }
}

TEST(MemoryPlanTest, FourRanksHoldLittleMoreThanAQuarterEach) {
  if (world->size() != 4) return;
  const ModelConfig model = MakeModel(128, 6, 1024);
  const Counted sharded = CountSteps(MakeInput(model, ShardingConfig::STAGE_FULL, 512));
  const Counted whole = CountSteps(MakeInput(model, ShardingConfig::STAGE_REPLICATED, 512));
  const double share = static_cast<double>(sharded.state) / static_cast<double>(whole.state);
  EXPECT_LE(share, 0.27);
  if (world->rank() == 0) {
    std::printf("parameters, gradients and optimizer: %.4f of one rank's\n", share);
  }
}

TEST(MemoryPlanTest, TheLargestMicroBatchJustFits) {
  PlanInput input = MakeInput(MakeModel(128, 6, 1024), ShardingConfig::STAGE_FULL, 512);
  const int64_t capacity = PlanMemory(input).peak();
  EXPECT_GE(LargestMicroBatch(input, capacity), 512);
  EXPECT_LT(LargestMicroBatch(input, capacity), 520);
  EXPECT_EQ(LargestMicroBatch(input, PlanMemory(input).state()), 0);
}

TEST(MemoryPlanTest, OffloadedStateIsOnTheHost) {
  PlanInput input = MakeInput(MakeModel(128, 6, 1024), ShardingConfig::STAGE_FULL, 512);
  input.has_gpu = true;
  input.bytes_per_element = 2;
  const MemoryPlan here = PlanMemory(input);
  input.config.mutable_sharding()->set_offload(ShardingConfig::OFFLOAD_OPTIMIZER);
  const MemoryPlan optimizer = PlanMemory(input);
  input.config.mutable_sharding()->set_offload(ShardingConfig::OFFLOAD_ALL);
  const MemoryPlan all = PlanMemory(input);
  EXPECT_EQ(here.on_host, 0);
  EXPECT_EQ(optimizer.optimizer, 0);
  EXPECT_GT(optimizer.gradients, 0);
  EXPECT_EQ(all.state(), 0);
  EXPECT_GT(all.on_host, optimizer.on_host);
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  routewright::CountingAllocator::Install();
  at::set_num_threads(1);
  return routewright::RunAsRanks(argc, argv, routewright::world);
}
