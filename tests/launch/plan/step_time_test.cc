#include "launch/plan/step_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "launch/plan/step_time_text.h"
#include "tests/launch/plan/planned_models.h"
#include "trainer/experience/packing.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSequence = 8;

// Of CountedModel: matrices of 2 blocks, 240 elements; head 10 x 4. Attention: 2 layers, 2 heads of 2,
// 4 keys on average.
constexpr double kScore = 2 * 240 + 2 * 64;                  // 2·N + 2 products of 2·L·H·D·S/2
constexpr double kUpdate = 3 * kScore + 64;                  // and the scores again
constexpr double kHeadScore = 2 * 40, kHeadUpdate = 8 * 40;  // forward, forward again, 2 backward
constexpr double kModel = 6 * 280 + 12 * 2 * 4 * 8 / 2;

// 2 questions x 2 episodes, two of which fit a micro-batch.
PlanInput MakeInput(int ranks) {
  PlanInput input;
  input.model = CountedModel();
  input.config.set_questions_per_step(2);
  input.config.set_episodes_per_question(2);
  input.config.set_max_micro_batch_tokens(2 * kSequence);
  input.ranks = input.ranks_per_host = ranks;
  return input;
}

DeviceSpeed MakeSpeed() {
  DeviceSpeed speed;
  speed.name = "abacus";
  speed.peak_flop_per_s = 4e6;
  speed.flop_per_s = 1e6;
  speed.f32_flop_per_s = 5e5;
  speed.bytes_per_s_in_host = 1e4;
  speed.bytes_per_s_of_hosts = 1e3;
  return speed;
}

StepTime Plan(const PlanInput& input) { return PlanStepTime(input, kSequence, MakeSpeed()); }

double SecondsToUpdate(double tokens) { return tokens * (kUpdate / 1e6 + kHeadUpdate / 5e5); }
double SecondsToScore(double tokens) { return tokens * (kScore / 1e6 + kHeadScore / 5e5); }

TEST(StepTimeTest, ATokensFlopsAreThoseCountedByHand) {
  const TokenFlops flops =
      CountTokenFlops(CountedModel(), HeadKind::kLanguageModel, false, kSequence);
  EXPECT_EQ(flops.model, kModel);
  EXPECT_EQ(flops.score, kScore);
  EXPECT_EQ(flops.update, kUpdate);
  EXPECT_EQ(flops.score_of_head, kHeadScore);
  EXPECT_EQ(flops.update_of_head, kHeadUpdate);
}

TEST(StepTimeTest, RecomputationAddsOneForwardOfTheBlocks) {
  const auto count = [](bool recompute) {
    return CountTokenFlops(CountedModel(), HeadKind::kLanguageModel, recompute, kSequence);
  };
  EXPECT_EQ(count(true).update, count(false).update + count(false).score);
  EXPECT_EQ(count(true).update_of_head, count(false).update_of_head);
  EXPECT_EQ(count(true).model, count(false).model);
}

TEST(StepTimeTest, AnUntiedHeadCostsWhatATiedOneDoesAndAValueHeadNextToNothing) {
  ModelConfig untied = CountedModel();
  untied.is_tied = false;
  EXPECT_EQ(CountTokenFlops(untied, HeadKind::kLanguageModel, false, kSequence).model, kModel);
  const TokenFlops critic = CountTokenFlops(untied, HeadKind::kValue, false, kSequence);
  EXPECT_EQ(critic.score, kScore);
  EXPECT_EQ(critic.score_of_head, 2 * 4);
  EXPECT_EQ(critic.update_of_head, 6 * 4);
}

TEST(StepTimeTest, Qwen3BMultipliesByAllItsParametersButNormsAndBiases) {
  const ModelConfig model = Qwen3BModel();
  const int64_t parameters = ParameterLayout(model, HeadKind::kLanguageModel).num_parameters();
  const int64_t vectors = 36 * (2 * 2048 + 2560) + 2048;
  const double attention = 12.0 * 36 * 16 * 128 * 4096 / 2;
  EXPECT_EQ(CountTokenFlops(model, HeadKind::kLanguageModel, false, 4096).model,
            6.0 * static_cast<double>(parameters - vectors) + attention);
}

TEST(StepTimeTest, AStepIsItsTokensTimesTheirFlopsOverTheCeilings) {
  const StepTime time = Plan(MakeInput(1));
  EXPECT_EQ(time.episodes, 4);
  EXPECT_EQ(time.tokens, 32);
  EXPECT_DOUBLE_EQ(time.model_flops, 32 * kModel);
  EXPECT_DOUBLE_EQ(time.all_flops, 32 * (kUpdate + kHeadUpdate));
  EXPECT_DOUBLE_EQ(time.head_flops, 32 * kHeadUpdate);
  EXPECT_DOUBLE_EQ(time.seconds, SecondsToUpdate(32));
  EXPECT_DOUBLE_EQ(time.tokens_per_s, 32 / time.seconds);
  EXPECT_DOUBLE_EQ(time.mfu, 32 * kModel / (time.seconds * 4e6));
  EXPECT_EQ(time.traffic_bytes, 0);
}

TEST(StepTimeTest, RanksDivideTheArithmeticAsFarAsTheEpisodesDo) {
  EXPECT_DOUBLE_EQ(Plan(MakeInput(2)).arithmetic_s, SecondsToUpdate(16));
  EXPECT_DOUBLE_EQ(Plan(MakeInput(3)).arithmetic_s, SecondsToUpdate(16));
  EXPECT_DOUBLE_EQ(Plan(MakeInput(4)).arithmetic_s, SecondsToUpdate(8));
  EXPECT_DOUBLE_EQ(Plan(MakeInput(8)).arithmetic_s, SecondsToUpdate(8));
}

TEST(StepTimeTest, TwiceTheCeilingsHalveTheArithmetic) {
  DeviceSpeed fast = MakeSpeed();
  fast.flop_per_s *= 2;
  fast.f32_flop_per_s *= 2;
  EXPECT_DOUBLE_EQ(PlanStepTime(MakeInput(1), kSequence, fast).seconds, SecondsToUpdate(32) / 2);
}

TEST(StepTimeTest, EveryPassThatTheUpdateMakesIsCounted) {
  PlanInput reference = MakeInput(1);
  reference.config.mutable_loss()->set_kl_coefficient(0.1);
  EXPECT_DOUBLE_EQ(Plan(reference).arithmetic_s, SecondsToUpdate(32) + SecondsToScore(32));
  EXPECT_DOUBLE_EQ(Plan(reference).model_flops, 32 * kModel);

  PlanInput old_policy = MakeInput(1);
  old_policy.config.mutable_loss()->set_importance_cap(2.0);
  EXPECT_DOUBLE_EQ(Plan(old_policy).arithmetic_s, SecondsToUpdate(32));
  old_policy.config.set_mini_batches(2);
  EXPECT_DOUBLE_EQ(Plan(old_policy).arithmetic_s, SecondsToUpdate(32) + SecondsToScore(32));

  PlanInput critic = MakeInput(1);
  critic.config.set_algorithm(TrainerConfig::ALGORITHM_PPO);
  const TokenFlops value = CountTokenFlops(CountedModel(), HeadKind::kValue, false, kSequence);
  const double score = value.score / 1e6 + value.score_of_head / 5e5;
  const double update = value.update / 1e6 + value.update_of_head / 5e5;
  EXPECT_DOUBLE_EQ(Plan(critic).arithmetic_s, SecondsToUpdate(32) + 32 * (score + update));
  EXPECT_DOUBLE_EQ(Plan(critic).model_flops, 32 * (kModel + value.model));

  critic.config.mutable_critic()->set_shares_trunk(true);
  EXPECT_DOUBLE_EQ(Plan(critic).arithmetic_s, SecondsToUpdate(32) + 32 * kScore / 1e6);
  EXPECT_DOUBLE_EQ(Plan(critic).model_flops, 32 * kModel);

  PlanInput supervised = reference;
  supervised.config.set_algorithm(TrainerConfig::ALGORITHM_SUPERVISED);
  EXPECT_EQ(Plan(supervised).episodes, 2);
  EXPECT_DOUBLE_EQ(Plan(supervised).arithmetic_s, SecondsToUpdate(16));
}

TEST(StepTimeTest, GathersThatArePrefetchedHideBehindArithmeticOrItBehindThem) {
  PlanInput input = MakeInput(2);
  input.config.mutable_sharding()->set_stage(ShardingConfig::STAGE_FULL);
  DeviceSpeed speed = MakeSpeed();
  const auto plan = [&] { return PlanStepTime(input, kSequence, speed); };
  speed.bytes_per_s_in_host = 1e9;
  EXPECT_DOUBLE_EQ(plan().seconds, plan().arithmetic_s);
  speed.bytes_per_s_in_host = 1e3;
  EXPECT_GT(plan().communication_s, plan().arithmetic_s);
  EXPECT_DOUBLE_EQ(plan().seconds, plan().communication_s);
  // Not fetched ahead: embedding and blocks twice each, the head's norm once, half
  // of it from the other rank.
  input.config.mutable_sharding()->set_prefetch(false);
  speed.bytes_per_s_in_host = 1e5;
  const double gathered_bytes = (2 * 40 + 2 * 256 + 4) / 2.0 * 4;
  EXPECT_DOUBLE_EQ(plan().seconds, plan().arithmetic_s + gathered_bytes / 1e5);
}

TEST(StepTimeTest, EpisodesOfOneLengthArePackedAsThePackerDoes) {
  for (int episodes = 1; episodes <= 40; ++episodes) {
    for (int ranks = 1; ranks <= 9; ++ranks) {
      for (int capacity = 1; capacity <= 5; ++capacity) {
        PlanInput input = MakeInput(ranks);
        input.config.set_questions_per_step(episodes);
        input.config.set_episodes_per_question(1);
        input.config.set_max_micro_batch_tokens(capacity * kSequence);
        const std::vector<int64_t> lengths(episodes, kSequence);
        const PackingPlan plan =
            PackTrajectories(lengths, ranks, capacity * kSequence, WorkOf(input.model)).value();
        size_t busiest = 0;
        for (const MicroBatches& rank : plan) {
          size_t count = 0;
          for (const std::vector<int>& places : rank) count += places.size();
          busiest = std::max(busiest, count);
        }
        const double planned = Plan(input).arithmetic_s / SecondsToUpdate(kSequence);
        EXPECT_NEAR(busiest, planned, 1e-9) << episodes << " " << ranks << " " << capacity;
      }
    }
  }
}

TEST(StepTimeTest, AGivenCeilingIsUsedAsItIsAndF32KeepsItsProportion) {
  const DeviceSpeed assumed = FindDeviceSpeed("h100", /*is_bf16=*/true, 0);
  EXPECT_DOUBLE_EQ(assumed.flop_per_s, kAssumedShareOfPeak * 989.4e12);
  EXPECT_DOUBLE_EQ(assumed.f32_flop_per_s, kAssumedShareOfPeak * 67e12);
  const DeviceSpeed given = FindDeviceSpeed("a100", /*is_bf16=*/true, 200e12);
  EXPECT_DOUBLE_EQ(given.flop_per_s, 200e12);
  EXPECT_DOUBLE_EQ(given.f32_flop_per_s, 200e12 * 19.5 / 312);
  EXPECT_DOUBLE_EQ(given.peak_flop_per_s, 312e12);
  EXPECT_DOUBLE_EQ(FindDeviceSpeed("a100", /*is_bf16=*/false, 0).peak_flop_per_s, 19.5e12);
  EXPECT_DOUBLE_EQ(FindDeviceSpeed("cpu", /*is_bf16=*/false, 1e11).peak_flop_per_s, 1e11);
}

TEST(StepTimeTest, TheTextSaysWhatWasAssumedAndRoundsToThreeDigits) {
  PlanInput input = MakeInput(16);
  input.ranks_per_host = 8;
  input.bytes_per_element = 2;
  DeviceSpeed speed = FindDeviceSpeed("h100", /*is_bf16=*/true, 0);
  EXPECT_THAT(DescribeStepTime(input, kSequence, speed),
              AllOf(HasSubstr("4 x 8 tokens = 32 tokens"), HasSubstr("MFU"),
                    HasSubstr("396 TFLOP/s a rank (0.4 of the H100's datasheet) assumed"),
                    HasSubstr("26.8 TFLOP/s in f32"), HasSubstr("50 GB/s between hosts assumed")));
  speed = FindDeviceSpeed("cpu", /*is_bf16=*/false, 123.456e9);
  EXPECT_THAT(DescribeStepTime(MakeInput(1), kSequence, speed),
              AllOf(HasSubstr("123 GFLOP/s a rank as given"), Not(HasSubstr("assumed")),
                    Not(HasSubstr("communication"))));
  EXPECT_EQ(SecondsText(0.0171234), "17.1 ms");
  EXPECT_EQ(SecondsText(93.456), "93.5 s");
  EXPECT_EQ(SecondsText(12345), "12300 s");
}

}  // namespace
}  // namespace routewright
