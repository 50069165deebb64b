// What the collectives of whole steps carry, counted, against what is planned, at every stage.
// Runs as several MPI ranks.
#include "launch/plan/step_traffic.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "launch/plan/step_time.h"
#include "tests/trainer/comm/run_as_ranks.h"
#include "tests/trainer/comm/throttled_communicator.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

Communicator* world = nullptr;
constexpr int kSequence = 12;

// Of gradients and weights in one step, that this rank receives.
double CountBytes(const PlanInput& input) {
  ThrottledCommunicator counting(world, /*bytes_per_s=*/1e18);
  UpdateOptions options;
  options.model = input.model;
  options.config = input.config;
  options.compute_type = input.bytes_per_element == 2 ? at::kBFloat16 : at::kFloat;
  const auto groups = RankGroups::Make(&counting, input.config.sharding()).value();
  options.groups = groups.get();
  PolicyUpdate update(options);
  const auto weights = TinyModelWeights(input.model, 1);
  const TensorSource initial = TensorsOf(weights);
  EXPECT_TRUE(update.Initialize(world->rank() == 0 ? &initial : nullptr).ok());
  counting.uses().clear();
  const int episodes = input.config.questions_per_step() * input.config.episodes_per_question();
  EXPECT_TRUE(
      update.Run(RecordEqualBatch(episodes, kSequence, 7, input.model.vocabulary_size), 0, 0.05)
          .ok());
  double bytes = 0;
  for (const LinkUse& use : counting.uses()) {
    if (absl::StrContains(use.name, "/value_head/")) continue;  // C + 1 elements: not planned
    for (const char* prefix : {"gather/", "update/", "gradient/", "reduce_gradient/"}) {
      if (absl::StartsWith(use.name, prefix)) bytes += static_cast<double>(use.bytes);
    }
  }
  return bytes;
}

PlanInput MakeInput(ShardingConfig::Stage stage) {
  PlanInput input;
  input.model = TinyModelConfig();
  input.ranks = input.ranks_per_host = world->size();
  input.config.set_algorithm(TrainerConfig::ALGORITHM_GRPO);
  input.config.set_steps(10);
  input.config.set_questions_per_step(4);
  input.config.set_episodes_per_question(4);
  input.config.set_max_micro_batch_tokens(2 * kSequence);
  input.config.mutable_sharding()->set_stage(stage);
  return input;
}

void ExpectPlanned(const PlanInput& input) {
  const DeviceSpeed speed = FindDeviceSpeed("h100", input.bytes_per_element == 2, 0);
  EXPECT_DOUBLE_EQ(CountBytes(input), PlanStepTime(input, kSequence, speed).traffic_bytes)
      << input.config.DebugString();
}

TEST(StepTrafficTest, EveryStageCarriesWhatIsPlanned) {
  for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_OPTIMIZER,
                           ShardingConfig::STAGE_GRADIENTS, ShardingConfig::STAGE_FULL}) {
    PlanInput input = MakeInput(stage);
    ExpectPlanned(input);
    input.config.set_recompute_activations(true);
    input.config.mutable_sharding()->set_prefetch(false);
    ExpectPlanned(input);
    input.config.mutable_loss()->set_kl_coefficient(0.05);
    input.config.mutable_loss()->set_importance_cap(2.0);
    input.config.set_mini_batches(3);
    ExpectPlanned(input);
    input.config.set_algorithm(TrainerConfig::ALGORITHM_PPO);
    input.model.is_tied = !input.model.is_tied;
    input.bytes_per_element = 2;
    ExpectPlanned(input);
    input.config.mutable_critic()->set_shares_trunk(true);
    ExpectPlanned(input);
  }
}

TEST(StepTrafficTest, SharesWithinAHostAreGatheredThereAndReducedBetweenHosts) {
  PlanInput input = MakeInput(ShardingConfig::STAGE_FULL);
  input.ranks = 16;
  input.ranks_per_host = 8;
  const DeviceSpeed speed = FindDeviceSpeed("h100", false, 0);
  const PassCounts passes = {.with_gradient = 1, .forward_only = 0, .optimizer_steps = 1};
  const auto plan = [&] { return PlanTraffic(input, HeadKind::kLanguageModel, passes, speed); };
  const Traffic everywhere = plan();
  EXPECT_DOUBLE_EQ(everywhere.hidden_s, everywhere.bytes / speed.bytes_per_s_of_hosts);
  input.config.mutable_sharding()->set_within_host(true);
  const Traffic within = plan();
  const double between_hosts = within.exposed_s * speed.bytes_per_s_of_hosts;
  EXPECT_DOUBLE_EQ(within.hidden_s, (within.bytes - between_hosts) / speed.bytes_per_s_in_host);
  input.config.mutable_sharding()->set_stage(ShardingConfig::STAGE_REPLICATED);
  EXPECT_NEAR(between_hosts, plan().bytes / 8 * (0.5 / (15.0 / 16.0)), 1e-6 * between_hosts);
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  at::set_num_threads(1);
  return routewright::RunAsRanks(argc, argv, routewright::world);
}
