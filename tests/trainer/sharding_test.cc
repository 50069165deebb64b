// Learning over 1, 2, 3 and 4 ranks, at every stage of sharding, with and without recomputation,
// packed and not, in one and several micro-batches, must give what one rank gives: the same losses,
// gradient norms and weights, from the same recorded trajectories. Runs as several MPI ranks; every
// rank also learns alone, as the only rank of a world of its own, and compares.
//
// Bits are the same where the order of sums is:
//   * any stage with itself, with recomputation or without;
//   * replicated and optimizer; gradients and full: both sum over ranks, then over micro-batches,
//     or the other way round;
//   * all four with one micro-batch, within_host too where a host has one rank or there is one
//   host.
// Each guard has a mutation that breaks what it guards: see the tests named Without… and Broken….
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/trainer/forwarding_communicator.h"
#include "tests/trainer/recorded_trajectories.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/comm/checked_communicator.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/policy_update.h"

namespace switchyard {
namespace {

Communicator* world = nullptr;
constexpr int kSteps = 5;
constexpr int kTrajectories = 44;

struct Variant {
  TrainerConfig::Algorithm algorithm = TrainerConfig::ALGORITHM_GRPO;
  ShardingConfig::Stage stage = ShardingConfig::STAGE_REPLICATED;
  bool recompute = false;
  bool is_packed = true;
  int accumulation = 1;  // micro-batches per rank, packed
  bool within_host = false;
  ShardingConfig::Offload offload = ShardingConfig::OFFLOAD_NONE;
  std::string host = {};  // this rank's
  at::ScalarType compute_type = at::kFloat;
  bool is_tied = true;
  bool shares_trunk = false;
};

std::string Name(const Variant& variant) {
  return absl::StrCat(
      ShardingConfig::Stage_Name(variant.stage), variant.recompute ? " recompute" : "",
      variant.is_packed ? " packed" : " unpacked", " accumulation=", variant.accumulation,
      variant.within_host ? " within_host" : "",
      variant.offload == ShardingConfig::OFFLOAD_NONE ? "" : " offload");
}

struct Learnt {
  std::vector<double> losses, value_losses, norms;
  double micro_batches = 0.0;
  std::shared_ptr<const PolicyWeights> weights;  // rank 0's
};

ModelConfig Model(const Variant& variant) {
  ModelConfig model = TinyModelConfig();
  model.is_tied = variant.is_tied;
  return model;
}

// The largest budget that gives each rank `variant.accumulation` micro-batches of this batch;
// unpacked: one that few pairs of trajectories fit into.
int TokenBudget(const Variant& variant, const Batch& batch, int ranks) {
  constexpr int kLongest = 60;
  if (!variant.is_packed) return kLongest;
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) lengths.push_back(batch.length(b));
  for (int budget = static_cast<int>(batch.offsets.back()) + 1; budget >= kLongest; --budget) {
    const PackingPlan plan = PackTrajectories(lengths, ranks, budget).value();
    if (static_cast<int>(plan[0].size()) == variant.accumulation) return budget;
  }
  return kLongest;
}

Learnt Learn(const Variant& variant, Communicator* communicator) {
  UpdateOptions options;
  options.model = Model(variant);
  options.compute_type = variant.compute_type;
  TrainerConfig& config = options.config;
  config.set_algorithm(variant.algorithm);
  config.set_steps(kSteps);
  config.set_recompute_activations(variant.recompute);
  config.mutable_sharding()->set_stage(variant.stage);
  config.mutable_sharding()->set_within_host(variant.within_host);
  config.mutable_sharding()->set_offload(variant.offload);
  config.mutable_optimizer()->set_learning_rate(1e-3);
  config.mutable_critic()->set_learning_rate(1e-3);
  config.mutable_critic()->set_shares_trunk(variant.shares_trunk);
  config.mutable_loss()->set_entropy_coefficient(0.01);
  config.mutable_loss()->set_kl_coefficient(0.05);
  const Batch sizes = RecordBatch(kTrajectories, /*seed=*/0, options.model.vocabulary_size);
  config.set_max_micro_batch_tokens(TokenBudget(variant, sizes, communicator->size()));
  const auto groups = RankGroups::Make(communicator, config.sharding(), variant.host).value();
  options.groups = groups.get();
  const auto update = std::make_unique<PolicyUpdate>(options);
  const auto initial = TinyModelWeights(options.model, 1);
  const bool is_root = communicator->rank() == 0;  // the others take the weights over
  const TensorSource source = TensorsOf(initial);
  EXPECT_TRUE(update->Initialize(is_root ? &source : nullptr).ok());
  Learnt learnt;
  for (int step = 0; step < kSteps; ++step) {
    const int count = step == 1 ? 3 : kTrajectories;  // fewer than ranks in the second
    const Batch batch =
        RecordBatch(count, /*seed=*/step == 1 ? 7 : 0, options.model.vocabulary_size);
    const UpdateMetrics metrics = update->Run(batch, step, /*kl_coefficient=*/0.05).value();
    learnt.losses.push_back(metrics.policy.loss);
    learnt.value_losses.push_back(metrics.value_loss);
    learnt.norms.push_back(metrics.gradient_norm);
    learnt.micro_batches = metrics.micro_batches_per_rank;
  }
  learnt.weights = update->ExportPolicy().value();
  return learnt;
}

Learnt LearnAlone(Variant variant) {
  const auto alone = NewLocalCommunicator();
  variant.stage = ShardingConfig::STAGE_REPLICATED;
  variant.within_host = false;
  variant.offload = ShardingConfig::OFFLOAD_NONE;
  return Learn(variant, alone.get());
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

// ‖difference of weights‖ / ‖update‖, on rank 0; 0 elsewhere.
double RelativeDistance(const Learnt& a, const Learnt& b, const Variant& variant) {
  if (a.weights == nullptr) return 0.0;
  const auto start = TinyModelWeights(Model(variant), 1);
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

bool HasSameBits(const Learnt& a, const Learnt& b) {
  if (a.losses != b.losses || a.norms != b.norms || a.value_losses != b.value_losses) return false;
  if (a.weights == nullptr) return true;
  for (const auto& [name, tensor] : a.weights->tensors()) {
    if (tensor.values != b.weights->Find(name)->values) return false;
  }
  return true;
}

void ExpectSame(const Learnt& actual, const Learnt& expected, const Variant& variant) {
  const double loss = WorstRelativeError(actual.losses, expected.losses);
  const double norm = WorstRelativeError(actual.norms, expected.norms);
  const double distance = RelativeDistance(actual, expected, variant);
  EXPECT_LT(loss, 1e-5) << Name(variant);
  EXPECT_LT(norm, 1e-4) << Name(variant);
  EXPECT_LT(WorstRelativeError(actual.value_losses, expected.value_losses), 1e-5) << Name(variant);
  EXPECT_LT(distance, 1e-2) << Name(variant);
  if (world->rank() == 0) {
    std::printf("%d ranks, %s: losses within %.0e, norms %.0e, weights %.0e of the update\n",
                world->size(), Name(variant).c_str(), loss, norm, distance);
  }
}

void ExpectDifferent(const Learnt& actual, const Learnt& expected, const Variant& variant) {
  const bool is_different = WorstRelativeError(actual.losses, expected.losses) > 1e-5 ||
                            RelativeDistance(actual, expected, variant) > 1e-2;
  EXPECT_TRUE(is_different) << Name(variant);
}

constexpr ShardingConfig::Stage kStages[] = {
    ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_OPTIMIZER,
    ShardingConfig::STAGE_GRADIENTS, ShardingConfig::STAGE_FULL};

// Every way to lay the work out, at every stage.
TEST(ShardingTest, EveryStageAndSplitLearnsWhatOneRankLearns) {
  const Learnt alone = LearnAlone({});
  for (const bool is_packed : {true, false}) {
    for (const int accumulation : {1, 2, 5}) {
      if (!is_packed && accumulation > 1) continue;  // each trajectory is a micro-batch already
      std::vector<Learnt> at_stage;
      for (const auto stage : kStages) {
        Variant variant{.stage = stage, .is_packed = is_packed, .accumulation = accumulation};
        const Learnt plain = Learn(variant, world);
        ExpectSame(plain, alone, variant);
        if (is_packed) {
          EXPECT_EQ(plain.micro_batches, accumulation);
        } else {
          EXPECT_GE(plain.micro_batches, kTrajectories / world->size() / 2.0);
        }
        variant.recompute = true;
        EXPECT_TRUE(HasSameBits(Learn(variant, world), plain)) << Name(variant);
        at_stage.push_back(plain);
      }
      EXPECT_TRUE(HasSameBits(at_stage[1], at_stage[0]));  // optimizer and replicated
      EXPECT_TRUE(HasSameBits(at_stage[3], at_stage[2]));  // full and gradients
      if (at_stage[0].micro_batches == 1) {
        EXPECT_TRUE(HasSameBits(at_stage[3], at_stage[0]));
      }
    }
  }
}

TEST(ShardingTest, EveryAlgorithmLearnsShardedWhatOneRankLearns) {
  for (const auto algorithm : {TrainerConfig::ALGORITHM_PPO, TrainerConfig::ALGORITHM_SUPERVISED}) {
    for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_FULL}) {
      const Variant variant{.algorithm = algorithm, .stage = stage, .accumulation = 2};
      ExpectSame(Learn(variant, world), LearnAlone(variant), variant);
    }
  }
}

TEST(ShardingTest, ACriticOnThePolicysTrunkIsShardedWithIt) {
  for (const auto stage : kStages) {
    const Variant variant{.algorithm = TrainerConfig::ALGORITHM_PPO,
                          .stage = stage,
                          .recompute = true,
                          .accumulation = 2,
                          .shares_trunk = true};
    ExpectSame(Learn(variant, world), LearnAlone(variant), variant);
  }
}

// Also where ranks have fewer micro-batches than others, or none.
TEST(ShardingTest, EveryRankStartsTheSameCollectivesInTheSameOrder) {
  const auto checked = NewCheckedCommunicator(world->Split("all of them", /*color=*/0).value());
  for (const auto stage : kStages) {
    const Variant variant{.algorithm = TrainerConfig::ALGORITHM_PPO,
                          .stage = stage,
                          .is_packed = false,
                          .shares_trunk = true};
    EXPECT_TRUE(HasSameBits(Learn(variant, checked.get()), Learn(variant, world)));
  }
}

TEST(ShardingTest, AnUntiedHeadIsShardedToo) {
  const Variant variant{
      .stage = ShardingConfig::STAGE_FULL, .recompute = true, .accumulation = 2, .is_tied = false};
  ExpectSame(Learn(variant, world), LearnAlone(variant), variant);
}

// The wire carries bf16, sums are f32: the gathered weights are those that one rank rounds.
TEST(ShardingTest, BfloatComputeIsTheSameOnEveryStage) {
  Variant variant{.stage = ShardingConfig::STAGE_REPLICATED, .compute_type = at::kBFloat16};
  const Learnt replicated = Learn(variant, world);
  for (const auto stage : kStages) {
    variant.stage = stage;
    EXPECT_TRUE(HasSameBits(Learn(variant, world), replicated)) << Name(variant);
  }
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
    const Variant variant{.stage = stage,
                          .accumulation = 2,
                          .within_host = true,
                          .host = absl::StrCat("host", world->rank() % 2)};
    ExpectSame(Learn(variant, world), LearnAlone(variant), variant);
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

// ---- What the equalities guard, broken on purpose. ----

// Loses the sums over ranks of the collectives whose name begins with `prefix`: every rank keeps
// its own terms.
class UnsummedCommunicator final : public ForwardingCommunicator {
 public:
  UnsummedCommunicator(Communicator* target, std::string prefix)
      : ForwardingCommunicator(target), prefix_(std::move(prefix)) {}
  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    if (!name.starts_with(prefix_)) return ForwardingCommunicator::AllReduceSum(name, buffer);
    return local_->AllReduceSum(name, buffer);
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (!name.starts_with(prefix_)) {
      return ForwardingCommunicator::ReduceScatterSum(name, all, mine);
    }
    return local_->AllReduceSum(name, mine);  // `mine` lies in `all`, at its place
  }

 private:
  const std::string prefix_;
  const std::unique_ptr<Communicator> local_ = NewLocalCommunicator();
};

TEST(ShardingTest, WithoutTheGradientsSumTheyDiffer) {
  if (world->size() == 1) return;
  for (const auto stage : kStages) {
    const Variant variant{.stage = stage};
    UnsummedCommunicator gradients(
        world, stage == ShardingConfig::STAGE_REPLICATED ? "gradient/" : "reduce_gradient/");
    ExpectDifferent(Learn(variant, &gradients), LearnAlone(variant), variant);
  }
}

TEST(ShardingTest, WithoutTheNormsSumTheyDiffer) {
  if (world->size() == 1) return;
  const Variant variant{.stage = ShardingConfig::STAGE_FULL};
  UnsummedCommunicator norms(world, "gradient_norm/");
  const Learnt broken = Learn(variant, &norms);
  EXPECT_GT(WorstRelativeError(broken.norms, LearnAlone(variant).norms), 1e-4);
}

// Gathers that bring nothing: the other ranks' shares of a block stay what they were.
class UngatheredCommunicator final : public ForwardingCommunicator {
 public:
  UngatheredCommunicator(Communicator* target, std::string prefix)
      : ForwardingCommunicator(target), prefix_(std::move(prefix)) {}
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    if (!name.starts_with(prefix_)) return ForwardingCommunicator::AllGather(name, mine, all);
    char* data = static_cast<char*>(all.data);
    const char* own = static_cast<const char*>(mine.data);
    const int64_t width = static_cast<int64_t>(CommTypeBytes(all.type));
    // Bytes that were dropped hold anything: what is not gathered is zero, so that the test is not
    // decided by chance.
    for (int64_t i = 0; prefix_ == "gather/" && i < all.num_elements * width; ++i) {
      if (data + i < own || data + i >= own + mine.num_elements * width) data[i] = 0;
    }
    return NewLocalCommunicator()->Barrier(name);
  }

 private:
  const std::string prefix_;
};

TEST(ShardingTest, WithoutTheGathersTheyDiffer) {
  if (world->size() == 1) return;
  const auto expect_different = [](ShardingConfig::Stage stage, const char* prefix) {
    const Variant variant{.stage = stage};
    UngatheredCommunicator spoilt(world, prefix);
    ExpectDifferent(Learn(variant, &spoilt), LearnAlone(variant), variant);
  };
  expect_different(ShardingConfig::STAGE_OPTIMIZER, "update/");
  expect_different(ShardingConfig::STAGE_GRADIENTS, "update/");
  expect_different(ShardingConfig::STAGE_FULL, "gather/");
}

// Spoils every second collective of one name: what a backward gathers, or what the second
// micro-batch reduces.
class EverySecondCommunicator final : public ForwardingCommunicator {
 public:
  EverySecondCommunicator(Communicator* target, std::string name)
      : ForwardingCommunicator(target), name_(std::move(name)) {}
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    auto gather = ForwardingCommunicator::AllGather(name, mine, all);
    if (!IsSpoilt(name)) return gather;
    EXPECT_TRUE(gather->Wait().ok());
    Zero(all);
    return NewLocalCommunicator()->Barrier(name);
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (IsSpoilt(name)) Zero(all);
    return ForwardingCommunicator::ReduceScatterSum(name, all, mine);
  }

 private:
  bool IsSpoilt(std::string_view name) { return name == name_ && ++calls_ % 2 == 0; }
  static void Zero(const CommBuffer& buffer) {
    std::memset(buffer.data, 0, buffer.num_elements * CommTypeBytes(buffer.type));
  }
  const std::string name_;
  int calls_ = 0;
};

TEST(ShardingTest, WithoutTheBackwardsGatherRecomputationDiffers) {
  if (world->size() == 1) return;
  const Variant variant{.stage = ShardingConfig::STAGE_FULL, .recompute = true};
  EverySecondCommunicator spoilt(world, "gather/policy/block.0");
  ExpectDifferent(Learn(variant, &spoilt), LearnAlone(variant), variant);
}

TEST(ShardingTest, WithoutOneMicroBatchsGradientAccumulationDiffers) {
  if (world->size() == 1) return;
  for (const auto stage : {ShardingConfig::STAGE_GRADIENTS, ShardingConfig::STAGE_FULL}) {
    const Variant variant{.stage = stage, .accumulation = 2};
    EverySecondCommunicator spoilt(world, "reduce_gradient/policy/block.0");
    ExpectDifferent(Learn(variant, &spoilt), LearnAlone(variant), variant);
  }
}

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
