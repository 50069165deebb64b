#include "trainer/sharding/sharded_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/trainer/comm/forwarding_communicator.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/comm/local_communicator.h"

namespace routewright {
namespace {

// One rank that says it is the first of two and writes down what it was asked
// for; the other holds zeros.
class RecordingCommunicator final : public ForwardingCommunicator {
 public:
  explicit RecordingCommunicator(int size) : ForwardingCommunicator(nullptr), size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer) override {
    return Record(name);
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer, int) override {
    return Record(name);
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer, CommBuffer) override {
    return Record(name);
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer,
                                               CommBuffer) override {
    return Record(name);
  }
  std::vector<std::string> Take() { return std::exchange(names_, {}); }

 private:
  class Done final : public Collective {
   public:
    absl::Status Wait() override { return absl::OkStatus(); }
  };
  std::unique_ptr<Collective> Record(std::string_view name) {
    names_.emplace_back(name);
    return std::make_unique<Done>();
  }
  const int size_;
  std::vector<std::string> names_;
};

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ShardedWeightsTest : public ::testing::Test {
 protected:
  // Weights of rank 0 of `ranks`.
  std::unique_ptr<ShardedWeights> Make(int ranks, ShardingConfig::Stage stage,
                                       WeightOptions options = {.name = "policy"}) {
    options.sharding.set_stage(stage);
    world_ = std::make_unique<RecordingCommunicator>(ranks);
    groups_ = RankGroups::Make(world_.get(), options.sharding).value();
    auto weights = std::make_unique<ShardedWeights>(layout_, options, groups_.get());
    return weights;
  }
  void ReadyAll(ShardedWeights& weights) {
    for (int block = weights.num_blocks() - 1; block >= 0; --block) weights.GradientReady(block);
  }

  const ModelConfig config_ = TinyModelConfig();
  const ParameterLayout layout_{config_, HeadKind::kLanguageModel};
  std::unique_ptr<RecordingCommunicator> world_;
  std::unique_ptr<RankGroups> groups_;
};

TEST_F(ShardedWeightsTest, NamedTensorsGoInAndComeOutTheSame) {
  const auto original = TinyModelWeights(config_, 3);
  for (const auto stage : {ShardingConfig::STAGE_REPLICATED, ShardingConfig::STAGE_FULL}) {
    const auto weights = Make(1, stage);
    const TensorSource source = TensorsOf(original);
    ASSERT_TRUE(weights->Load(&source).ok());
    const auto copy = weights->Export().value();
    ASSERT_EQ(copy->tensors().size(), original->tensors().size());
    for (const auto& [name, tensor] : original->tensors()) {
      EXPECT_EQ(copy->Find(name)->values, tensor.values) << name;
    }
  }
}

TEST_F(ShardedWeightsTest, AMissingTensorIsNamed) {
  auto tensors = TinyModelWeights(config_, 3)->tensors();
  tensors.erase("model.norm.weight");
  const TensorSource lacking = TensorsOf(std::make_shared<PolicyWeights>(tensors));
  const absl::Status status = Make(1, ShardingConfig::STAGE_REPLICATED)->Load(&lacking);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.norm.weight"));
}

TEST_F(ShardedWeightsTest, ReplicatedGradientsAreReducedOnceAfterTheLastBackward) {
  const auto weights = Make(2, ShardingConfig::STAGE_REPLICATED);
  ReadyAll(*weights);
  EXPECT_THAT(world_->Take(), IsEmpty());
  weights->gradients().ReduceFromNowOn();
  ReadyAll(*weights);
  ASSERT_TRUE(weights->gradients().Finish().ok());
  EXPECT_THAT(world_->Take(), ElementsAre("gradient/policy/head", "gradient/policy/block.1",
                                          "gradient/policy/block.0", "gradient/policy/embedding"));
}

TEST_F(ShardedWeightsTest, ShardedGradientsAreReducedInEveryBackward) {
  for (const auto stage : {ShardingConfig::STAGE_GRADIENTS, ShardingConfig::STAGE_FULL}) {
    const auto weights = Make(2, stage);
    for (int pass = 0; pass < 2; ++pass) {
      ReadyAll(*weights);
      EXPECT_THAT(
          world_->Take(),
          ElementsAre("reduce_gradient/policy/head", "reduce_gradient/policy/block.1",
                      "reduce_gradient/policy/block.0", "reduce_gradient/policy/embedding"));
    }
  }
}

TEST_F(ShardedWeightsTest, ABlockIsGatheredOnceHoweverOftenItIsHeld) {
  const auto weights = Make(2, ShardingConfig::STAGE_FULL);
  weights->PrefetchWeights(1);
  const at::Tensor first = weights->AcquireWeights(1);
  const at::Tensor second = weights->AcquireWeights(1);
  weights->PrefetchWeights(1);
  EXPECT_TRUE(first.is_alias_of(second));
  EXPECT_THAT(world_->Take(), ElementsAre("gather/policy/block.0"));
  weights->ReleaseWeights(1);
  EXPECT_NE(first.data_ptr(), nullptr);
  weights->ReleaseWeights(1);
  EXPECT_EQ(first.data_ptr(), nullptr);
  EXPECT_TRUE(weights->AcquireWeights(1).is_alias_of(first));
  EXPECT_THAT(world_->Take(), ElementsAre("gather/policy/block.0"));
}

TEST_F(ShardedWeightsTest, WithoutPrefetchABlockIsGatheredWhenItIsAcquired) {
  WeightOptions options{.name = "policy"};
  options.sharding.set_prefetch(false);
  const auto weights = Make(2, ShardingConfig::STAGE_FULL, options);
  weights->PrefetchWeights(1);
  EXPECT_THAT(world_->Take(), IsEmpty());
  weights->AcquireWeights(1);
  EXPECT_THAT(world_->Take(), ElementsAre("gather/policy/block.0"));
}

TEST_F(ShardedWeightsTest, EachStageGathersWhatTheOptimizerChanged) {
  for (const auto stage : {ShardingConfig::STAGE_OPTIMIZER, ShardingConfig::STAGE_GRADIENTS}) {
    const auto weights = Make(2, stage);
    weights->MasterChanged(1);
    EXPECT_THAT(world_->Take(), ElementsAre("update/policy/block.0"));
    ASSERT_TRUE(weights->FinishChanges().ok());
  }
  const auto full = Make(2, ShardingConfig::STAGE_FULL);
  full->MasterChanged(1);
  EXPECT_THAT(world_->Take(), IsEmpty());
}

TEST_F(ShardedWeightsTest, BfloatCopiesFollowTheMasters) {
  const auto weights =
      Make(1, ShardingConfig::STAGE_REPLICATED, {.name = "policy", .compute_type = at::kBFloat16});
  const TensorSource source = TensorsOf(TinyModelWeights(config_, 3));
  ASSERT_TRUE(weights->Load(&source).ok());
  EXPECT_EQ(weights->AcquireWeights(1).scalar_type(), at::kBFloat16);
  weights->masters(1).fill_(0.5);
  weights->MasterChanged(1);
  ASSERT_TRUE(weights->FinishChanges().ok());
  EXPECT_TRUE(weights->AcquireWeights(1)
                  .to(at::kFloat)
                  .equal(weights->masters(1).narrow(0, 0, layout_.blocks()[1].num_elements)));
}

}  // namespace
}  // namespace routewright
