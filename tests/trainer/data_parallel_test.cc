// Learning with 1, 2 and 4 ranks from the same recorded trajectories must give the same losses and
// weights. Every rank also learns alone, as the only rank of a world of its own, and compares. Runs
// as several MPI ranks.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "tests/trainer/forwarding_communicator.h"
#include "tests/trainer/recorded_trajectories.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/policy_update.h"

namespace switchyard {
namespace {

Communicator* world = nullptr;
constexpr int kSteps = 5;

// Loses the gradients' sums: every rank keeps its own share.
class DroppingCommunicator final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    if (name.substr(0, 9) != "gradient/") return ForwardingCommunicator::AllReduceSum(name, buffer);
    return local_->AllReduceSum(name, buffer);
  }

 private:
  std::unique_ptr<Communicator> local_ = NewLocalCommunicator();
};

struct Learnt {
  std::vector<double> losses;
  std::vector<double> value_losses;
  std::shared_ptr<const PolicyWeights> weights;
};

Learnt Learn(TrainerConfig::Algorithm algorithm, Communicator* communicator) {
  UpdateOptions options;
  options.model = TinyModelConfig();
  options.communicator = communicator;
  options.config.set_algorithm(algorithm);
  options.config.set_steps(kSteps);
  options.config.set_max_micro_batch_tokens(
      160);  // several micro-batches, some of them empty at 4 ranks
  options.config.mutable_optimizer()->set_learning_rate(1e-3);
  options.config.mutable_critic()->set_learning_rate(1e-3);
  options.config.mutable_loss()->set_entropy_coefficient(0.01);
  options.config.mutable_loss()->set_kl_coefficient(0.05);
  const auto update = std::make_unique<PolicyUpdate>(options);
  // Only rank 0 has the weights; the others take them over.
  if (communicator->rank() == 0) {
    EXPECT_TRUE(update->Initialize(*TinyModelWeights(options.model, 1)).ok());
  }
  EXPECT_TRUE(update->Synchronize().ok());
  Learnt learnt;
  for (int step = 0; step < kSteps; ++step) {
    const int count = step == 0 ? 3 : 22;  // fewer trajectories than ranks in the first
    const Batch batch = RecordBatch(count, /*seed=*/step, options.model.vocabulary_size);
    const UpdateMetrics metrics = update->Run(batch, step, /*kl_coefficient=*/0.05).value();
    learnt.losses.push_back(metrics.policy.loss);
    learnt.value_losses.push_back(metrics.value_loss);
  }
  learnt.weights = update->ExportPolicy();
  return learnt;
}

Learnt LearnAlone(TrainerConfig::Algorithm algorithm) {
  const auto alone = NewLocalCommunicator();
  return Learn(algorithm, alone.get());
}

double Distance(const PolicyWeights& a, const PolicyWeights& b) {
  double sum = 0.0;
  for (const auto& [name, tensor] : a.tensors()) {
    const std::vector<float>& other = b.Find(name)->values;
    for (size_t i = 0; i < other.size(); ++i) {
      const double difference = static_cast<double>(tensor.values[i]) - other[i];
      sum += difference * difference;
    }
  }
  return std::sqrt(sum);
}

// ‖difference of weights‖ / ‖update‖.
double RelativeDistance(const Learnt& a, const Learnt& b) {
  const auto start = TinyModelWeights(TinyModelConfig(), 1);
  return Distance(*a.weights, *b.weights) / Distance(*b.weights, *start);
}

double WorstRelativeError(const std::vector<double>& actual, const std::vector<double>& expected) {
  double worst = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst =
        std::max(worst, std::abs(actual[i] - expected[i]) / std::max(std::abs(expected[i]), 1e-3));
  }
  return worst;
}

class DataParallelTest : public ::testing::TestWithParam<TrainerConfig::Algorithm> {};

TEST_P(DataParallelTest, LossesAndWeightsEqualThoseOfOneRank) {
  const Learnt together = Learn(GetParam(), world);
  const Learnt alone = LearnAlone(GetParam());
  const double loss_error = WorstRelativeError(together.losses, alone.losses);
  const double weight_error = RelativeDistance(together, alone);
  EXPECT_LT(loss_error, 1e-5);
  EXPECT_LT(WorstRelativeError(together.value_losses, alone.value_losses), 1e-5);
  EXPECT_LT(weight_error, 1e-2);
  if (world->rank() == 0) {
    std::printf("%d ranks: losses within %.1e, weights within %.1e of the update\n", world->size(),
                loss_error, weight_error);
  }
}

TEST_P(DataParallelTest, WithoutTheReductionTheyDiffer) {
  DroppingCommunicator dropping(world);
  const Learnt together = Learn(GetParam(), &dropping);
  const Learnt alone = LearnAlone(GetParam());
  if (world->size() == 1) return;
  EXPECT_GT(WorstRelativeError(together.losses, alone.losses), 1e-5);
  EXPECT_GT(RelativeDistance(together, alone), 1e-2);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, DataParallelTest,
                         ::testing::Values(TrainerConfig::ALGORITHM_GRPO,
                                           TrainerConfig::ALGORITHM_PPO,
                                           TrainerConfig::ALGORITHM_SUPERVISED),
                         [](const auto& info) {
                           return TrainerConfig::Algorithm_Name(info.param);
                         });

}  // namespace
}  // namespace switchyard

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  at::set_num_threads(1);
  switchyard::CommunicatorConfig config;
  config.set_deadline_s(60);
  auto made = switchyard::NewCommunicator(config, /*is_on_gpu=*/false);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", std::string(made.status().message()).c_str());
    return 1;
  }
  switchyard::world = made->get();
  const int result = RUN_ALL_TESTS();
  if (result != 0) (*made)->Abort(absl::InternalError("a check failed"));
  return result;
}
