#include "trainer/update/policy_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/common/temp_folder.h"
#include "tests/trainer/experience/recorded_trajectories.h"
#include "tests/trainer/update/saved_update.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/comm/local_communicator.h"

namespace routewright {
namespace {

class PolicyUpdateTest : public ::testing::Test {
 protected:
  static TrainerConfig Config(TrainerConfig::Algorithm algorithm) {
    TrainerConfig config;
    config.set_algorithm(algorithm);
    config.set_steps(20);
    config.mutable_optimizer()->set_learning_rate(1e-3);
    config.mutable_critic()->set_learning_rate(1e-3);
    return config;
  }
  static TrainerConfig SharedTrunk(double loss_coefficient) {
    TrainerConfig config = Config(TrainerConfig::ALGORITHM_PPO);
    config.mutable_critic()->set_shares_trunk(true);
    config.mutable_critic()->set_loss_coefficient(loss_coefficient);
    config.mutable_critic()->set_learning_rate(1e-2);
    return config;
  }
  std::unique_ptr<PolicyUpdate> Make(const TrainerConfig& config) {
    UpdateOptions options;
    options.config = config;
    options.model = model_;
    options.groups = groups_.get();
    auto update = std::make_unique<PolicyUpdate>(options);
    const TensorSource initial = TensorsOf(TinyModelWeights(model_, 1));
    EXPECT_TRUE(update->Initialize(&initial).ok());
    return update;
  }
  Batch MakeBatch(uint64_t seed) const { return RecordBatch(24, seed, model_.vocabulary_size); }
  // The losses of n steps.
  std::vector<double> Losses(PolicyUpdate& update, int first_step, int n) {
    std::vector<double> losses;
    for (int step = first_step; step < first_step + n; ++step) {
      losses.push_back(update.Run(MakeBatch(100 + step), step, 0.05).value().policy.loss);
    }
    return losses;
  }

  TempFolder temp_;
  const ModelConfig model_ = TinyModelConfig();
  const std::unique_ptr<Communicator> communicator_ = NewLocalCommunicator();
  const std::unique_ptr<RankGroups> groups_ = RankGroups::Make(communicator_.get(), {}).value();
};

void ExpectSameBits(const PolicyWeights& a, const PolicyWeights& b) {
  for (const auto& [name, tensor] : a.tensors()) {
    EXPECT_EQ(tensor.values, b.Find(name)->values) << name;
  }
}

// ‖a − b‖ over all tensors.
double Distance(const PolicyWeights& a, const PolicyWeights& b) {
  double sum = 0.0;
  for (const auto& [name, tensor] : a.tensors()) {
    const std::vector<float>& other = b.Find(name)->values;
    for (size_t i = 0; i < other.size(); ++i) {
      sum += (tensor.values[i] - other[i]) * static_cast<double>(tensor.values[i] - other[i]);
    }
  }
  return std::sqrt(sum);
}

TEST_F(PolicyUpdateTest, GoldenLossesOfFiveSteps) {
  const std::map<TrainerConfig::Algorithm, std::vector<double>> golden = {
      {TrainerConfig::ALGORITHM_GRPO, {0.0173146, -0.0074603, 0.0211736, 0.0097406, 0.1268550}},
      {TrainerConfig::ALGORITHM_PPO, {0.1120790, 0.1102560, 0.0768056, 0.0866197, 0.1007850}},
      {TrainerConfig::ALGORITHM_SUPERVISED,
       {4.2559949, 4.2789568, 4.2733525, 4.2902307, 4.2767267}}};
  for (const auto& [algorithm, expected] : golden) {
    TrainerConfig config = Config(algorithm);
    if (algorithm != TrainerConfig::ALGORITHM_SUPERVISED) {
      config.mutable_loss()->set_kl_coefficient(0.05);
      config.mutable_loss()->set_entropy_coefficient(0.01);
    }
    const auto update = Make(config);
    EXPECT_THAT(Losses(*update, 0, 5), ::testing::Pointwise(::testing::DoubleNear(2e-5), expected))
        << TrainerConfig::Algorithm_Name(algorithm);
  }
}

TEST_F(PolicyUpdateTest, PackedEqualsUnpacked) {
  TrainerConfig packed = Config(TrainerConfig::ALGORITHM_PPO);
  packed.mutable_loss()->set_kl_coefficient(0.05);
  TrainerConfig unpacked = packed;
  unpacked.set_max_micro_batch_tokens(57);  // the longest trajectory: one or two to a micro-batch
  const auto a = Make(packed), b = Make(unpacked);
  const auto start = a->ExportPolicy().value();
  for (int step = 0; step < 5; ++step) {
    const UpdateMetrics one = a->Run(MakeBatch(step), step, 0.05).value();
    const UpdateMetrics many = b->Run(MakeBatch(step), step, 0.05).value();
    EXPECT_EQ(one.micro_batches_per_rank, 1);
    EXPECT_GT(many.micro_batches_per_rank, 12);
    EXPECT_NEAR(one.policy.loss, many.policy.loss, 1e-5 * std::abs(one.policy.loss) + 1e-8);
    EXPECT_NEAR(one.value_loss, many.value_loss, 1e-5 * one.value_loss);
  }
  EXPECT_LT(Distance(*a->ExportPolicy().value(), *b->ExportPolicy().value()),
            1e-2 * Distance(*a->ExportPolicy().value(), *start));
}

TEST_F(PolicyUpdateTest, TheSameRunTwiceHasTheSameBits) {
  const TrainerConfig config = Config(TrainerConfig::ALGORITHM_PPO);
  const auto a = Make(config), b = Make(config);
  EXPECT_EQ(Losses(*a, 0, 3), Losses(*b, 0, 3));
  ExpectSameBits(*a->ExportPolicy().value(), *b->ExportPolicy().value());
}

TEST_F(PolicyUpdateTest, SavedAndRestoredGoesOnWithTheSameBits) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_PPO);
  config.mutable_loss()->set_kl_coefficient(0.05);
  const auto uninterrupted = Make(config), first_half = Make(config), second_half = Make(config);
  Losses(*uninterrupted, 0, 2);
  Losses(*first_half, 0, 2);
  ASSERT_TRUE(second_half->Restore(*SaveAndOpen(*first_half, model_, temp_.path())).ok());
  EXPECT_EQ(Losses(*second_half, 2, 3), Losses(*uninterrupted, 2, 3));
  ExpectSameBits(*uninterrupted->ExportPolicy().value(), *second_half->ExportPolicy().value());
}

// After steps 2 and 4 of 5 the reference is the policy of that step, so that the KL of the next one is nothing.
TEST_F(PolicyUpdateTest, ARefreshedReferenceIsThePolicyOfThatStep) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_GRPO);
  config.mutable_loss()->set_kl_coefficient(0.05);
  config.mutable_loss()->set_reference_refresh_steps(2);
  const auto update = Make(config);
  for (int step = 0; step < 5; ++step) {
    const double kl = update->Run(MakeBatch(100 + step), step, 0.05).value().policy.kl;
    EXPECT_EQ(step % 2 == 0, kl < 1e-9) << step << ": " << kl;
  }
  const auto by_nothing = Make(config);  // of an empty batch nothing is learnt; it counts as a step
  Losses(*by_nothing, 0, 1);
  ASSERT_TRUE(by_nothing->Run(Batch(), 1, 0.05).ok());
  EXPECT_LT(by_nothing->Run(MakeBatch(102), 2, 0.05).value().policy.kl, 1e-9);
}

// Whether or not the run that goes on refreshes it any further, and from one that does not save again.
TEST_F(PolicyUpdateTest, ARefreshedReferenceIsSavedAndRestored) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_GRPO);
  config.mutable_loss()->set_kl_coefficient(0.05);
  TrainerConfig refreshing = config;
  refreshing.mutable_loss()->set_reference_refresh_steps(2);
  const auto uninterrupted = Make(refreshing), first = Make(refreshing), second = Make(refreshing);
  Losses(*uninterrupted, 0, 3);
  Losses(*first, 0, 3);
  const auto saved = SaveAndOpen(*first, model_, temp_.path(), 3);
  ASSERT_TRUE(second->Restore(*saved).ok());
  EXPECT_EQ(Losses(*second, 3, 3), Losses(*uninterrupted, 3, 3));

  const auto fixed = Make(config), later = Make(config);
  ASSERT_TRUE(fixed->Restore(*saved).ok());
  ASSERT_TRUE(later->Restore(*SaveAndOpen(*fixed, model_, temp_.path(), 4)).ok());
  const std::vector<double> losses = Losses(*fixed, 3, 1);
  EXPECT_EQ(losses, Losses(*first, 3, 1));  // against the policy of step 2 both
  EXPECT_EQ(losses, Losses(*later, 3, 1));

  const auto unrefreshed = Make(config);
  Losses(*unrefreshed, 0, 1);
  EXPECT_FALSE(SaveAndOpen(*unrefreshed, model_, temp_.path(), 5)->Has("reference"));
}

TEST_F(PolicyUpdateTest, DemonstrationsBecomeLikelier) {
  const auto update = Make(Config(TrainerConfig::ALGORITHM_SUPERVISED));
  const Batch batch = MakeBatch(1);
  const double before = update->Run(batch, 0, 0.0).value().policy.loss;
  double after = before;
  for (int step = 1; step < 10; ++step) after = update->Run(batch, step, 0.0).value().policy.loss;
  EXPECT_NEAR(before, std::log(model_.vocabulary_size), 0.2);
  EXPECT_LT(after, before - 0.1);
}

TEST_F(PolicyUpdateTest, TheCriticLearnsTheRewards) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_PPO);
  config.mutable_critic()->set_learning_rate(1e-2);
  const auto update = Make(config);
  const Batch batch = MakeBatch(1);
  const double before = update->Run(batch, 0, 0.0).value().value_loss;
  double after = before;
  for (int step = 1; step < 10; ++step) after = update->Run(batch, step, 0.0).value().value_loss;
  EXPECT_LT(after, 0.8 * before);
}

TEST_F(PolicyUpdateTest, OnlyTheCriticLearnsDuringItsWarmUp) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_PPO);
  config.mutable_critic()->set_warmup_steps(2);
  const auto update = Make(config);
  const auto start = update->ExportPolicy().value();
  Losses(*update, 0, 2);
  ExpectSameBits(*update->ExportPolicy().value(), *start);
  Losses(*update, 2, 1);
  EXPECT_GT(Distance(*update->ExportPolicy().value(), *start), 0.0);
}

TEST_F(PolicyUpdateTest, AValueHeadOnTheTrunkLearnsTheRewards) {
  const auto update = Make(SharedTrunk(/*loss_coefficient=*/0.1));
  const Batch batch = MakeBatch(1);
  const double before = update->Run(batch, 0, 0.0).value().value_loss;
  double after = before;
  for (int step = 1; step < 10; ++step) after = update->Run(batch, step, 0.0).value().value_loss;
  EXPECT_LT(after, 0.8 * before);
}

// The first step's values are 0 either way: then the policy's loss is the same, and the trunk
// differs by what the value loss teaches it.
TEST_F(PolicyUpdateTest, TheCoefficientSaysHowMuchASharedTrunkLearnsFromValues) {
  TrainerConfig warmed = SharedTrunk(0.0);
  warmed.mutable_critic()->set_warmup_steps(1);  // a head of zeros has no gradient to pass on
  const auto two_steps = [&](double coefficient) {
    warmed.mutable_critic()->set_loss_coefficient(coefficient);
    const auto update = Make(warmed);
    Losses(*update, 0, 2);
    return update->ExportPolicy().value();
  };
  const auto none = two_steps(0.0), little = two_steps(0.1), much = two_steps(1.0);
  EXPECT_GT(Distance(*little, *none), 0.0);
  EXPECT_GT(Distance(*much, *none), Distance(*little, *none));

  const auto own = Make(Config(TrainerConfig::ALGORITHM_PPO)), shared = Make(SharedTrunk(0.0));
  EXPECT_EQ(Losses(*own, 0, 1), Losses(*shared, 0, 1));
  ExpectSameBits(*own->ExportPolicy().value(), *shared->ExportPolicy().value());
}

TEST_F(PolicyUpdateTest, OnlyTheValueHeadLearnsDuringItsWarmUp) {
  TrainerConfig config = SharedTrunk(0.1);
  config.mutable_critic()->set_warmup_steps(2);
  const auto update = Make(config);
  const auto start = update->ExportPolicy().value();
  const double first = update->Run(MakeBatch(1), 0, 0.0).value().value_loss;
  EXPECT_LT(update->Run(MakeBatch(1), 1, 0.0).value().value_loss, first);
  ExpectSameBits(*update->ExportPolicy().value(), *start);
  Losses(*update, 2, 1);
  EXPECT_GT(Distance(*update->ExportPolicy().value(), *start), 0.0);
}

TEST_F(PolicyUpdateTest, AValueHeadIsSavedAndRestoredWithTheSameBits) {
  const TrainerConfig config = SharedTrunk(0.1);
  const auto uninterrupted = Make(config), first_half = Make(config), second_half = Make(config);
  Losses(*uninterrupted, 0, 2);
  Losses(*first_half, 0, 2);
  const auto checkpoint = SaveAndOpen(*first_half, model_, temp_.path());
  ASSERT_TRUE(second_half->Restore(*checkpoint).ok());
  EXPECT_EQ(Losses(*second_half, 2, 3), Losses(*uninterrupted, 2, 3));
  ExpectSameBits(*uninterrupted->ExportPolicy().value(), *second_half->ExportPolicy().value());

  const absl::Status other = Make(Config(TrainerConfig::ALGORITHM_PPO))->Restore(*checkpoint);
  EXPECT_TRUE(absl::IsFailedPrecondition(other));
  EXPECT_THAT(std::string(other.message()), ::testing::HasSubstr("no critic"));
}

TEST_F(PolicyUpdateTest, EachMiniBatchIsAnOptimizerStep) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_GRPO);
  config.set_mini_batches(3);
  config.mutable_loss()->set_importance_cap(2.0);
  const auto update = Make(config);
  const Batch batch = MakeBatch(1);
  const UpdateMetrics metrics = update->Run(batch, 0, 0.0).value();
  EXPECT_EQ(SaveAndOpen(*update, model_, temp_.path())->OptimizerSteps("policy"), 3);
  EXPECT_EQ(metrics.policy.tokens, static_cast<double>(batch.num_scored()));
}

TEST_F(PolicyUpdateTest, AnEmptyBatchChangesNothing) {
  const auto update = Make(Config(TrainerConfig::ALGORITHM_GRPO));
  const auto start = update->ExportPolicy().value();
  ASSERT_TRUE(update->Run(Batch(), 0, 0.0).ok());
  ExpectSameBits(*update->ExportPolicy().value(), *start);
}

// One token of a trajectory that the policy has become certain of would own the gradient.
TEST_F(PolicyUpdateTest, AHugeRatioIsBounded) {
  const auto update = Make(Config(TrainerConfig::ALGORITHM_GRPO));
  Batch batch = MakeBatch(1);
  batch.sampler_logprobs[0] = -1e4f;  // a ratio of e^10000
  EXPECT_TRUE(update->Run(batch, 0, 0.0).ok());
}

TEST_F(PolicyUpdateTest, AGradientThatIsNoNumberIsAnErrorAndLeavesTheWeights) {
  const auto update = Make(Config(TrainerConfig::ALGORITHM_GRPO));
  const auto start = update->ExportPolicy().value();
  Batch batch = MakeBatch(1);
  for (float& logprob : batch.sampler_logprobs) logprob = std::nanf("");
  const absl::Status status = update->Run(batch, 0, 0.0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("gradient norm of the policy"));
  ExpectSameBits(*update->ExportPolicy().value(), *start);
}

TEST_F(PolicyUpdateTest, ATrajectoryThatFitsNoMicroBatchIsRefused) {
  TrainerConfig config = Config(TrainerConfig::ALGORITHM_GRPO);
  config.set_max_micro_batch_tokens(10);
  const absl::Status status = Make(config)->Run(MakeBatch(1), 0, 0.0).status();
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("trainer.max_micro_batch_tokens"));
}

}  // namespace
}  // namespace routewright
