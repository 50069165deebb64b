#include "trainer/replicated_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/trainer/forwarding_communicator.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/comm/local_communicator.h"

namespace switchyard {
namespace {

// One rank that writes down which collectives it was asked for.
class RecordingCommunicator final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    names.emplace_back(name);
    return ForwardingCommunicator::AllReduceSum(name, buffer);
  }
  std::vector<std::string> names;
};

class ReplicatedWeightsTest : public ::testing::Test {
 protected:
  const ModelConfig config_ = TinyModelConfig();
  const ParameterLayout layout_{config_, HeadKind::kLanguageModel};
  const std::unique_ptr<Communicator> local_ = NewLocalCommunicator();
  RecordingCommunicator communicator_{local_.get()};
  ReplicatedWeights weights_{layout_, {.name = "policy"}, &communicator_};
};

TEST_F(ReplicatedWeightsTest, NamedTensorsGoInAndComeOutTheSame) {
  const auto original = TinyModelWeights(config_, 3);
  ASSERT_TRUE(weights_.Load(*original).ok());
  const auto copy = weights_.Export();
  ASSERT_EQ(copy->tensors().size(), original->tensors().size());
  for (const auto& [name, tensor] : original->tensors()) {
    EXPECT_EQ(copy->Find(name)->values, tensor.values) << name;
  }
}

TEST_F(ReplicatedWeightsTest, AMissingTensorIsNamed) {
  auto tensors = TinyModelWeights(config_, 3)->tensors();
  tensors.erase("model.norm.weight");
  const absl::Status status = weights_.Load(PolicyWeights(tensors));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("model.norm.weight"));
}

TEST_F(ReplicatedWeightsTest, ReducesInOneOrderWhateverOrderBlocksGetReadyIn) {
  weights_.ReduceFromNowOn();
  for (int block : {1, 3, 0, 2}) weights_.GradientReady(block);
  ASSERT_TRUE(weights_.FinishReduction().ok());
  const std::vector<std::string> order = {"gradient/policy/head", "gradient/policy/block.1",
                                          "gradient/policy/block.0", "gradient/policy/embedding"};
  EXPECT_EQ(communicator_.names, order);

  communicator_.names.clear();
  weights_.ReduceFromNowOn();  // a rank whose last micro-batch is empty
  ASSERT_TRUE(weights_.FinishReduction().ok());
  EXPECT_EQ(communicator_.names, order);
}

TEST_F(ReplicatedWeightsTest, NothingIsReducedBeforeTheLastMicroBatch) {
  for (int block : {3, 2, 1, 0}) weights_.GradientReady(block);
  EXPECT_TRUE(communicator_.names.empty());
}

TEST_F(ReplicatedWeightsTest, BfloatCopiesFollowTheMasterWeights) {
  ReplicatedWeights weights(layout_, {.name = "policy", .compute_type = at::kBFloat16},
                            &communicator_);
  ASSERT_TRUE(weights.Load(*TinyModelWeights(config_, 3)).ok());
  EXPECT_EQ(weights.AcquireWeights(1).scalar_type(), at::kBFloat16);
  weights.parameters(1).fill_(0.5);
  weights.WeightsChanged();
  EXPECT_TRUE(weights.AcquireWeights(1).to(at::kFloat).equal(weights.parameters(1)));
}

}  // namespace
}  // namespace switchyard
