#include "policy/transformer/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/policy/model/shaped_model.h"
#include "tests/policy/transformer/test_weights.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;

ModelConfig SmallConfig(bool is_biased, bool is_tied) {
  ModelConfig config = ShapedModel({.vocabulary = 13,
                                    .width = 16,
                                    .inner_width = 24,
                                    .layers = 2,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .head_width = 4,
                                    .positions = 64});
  config.is_qkv_biased = is_biased;
  config.is_tied = is_tied;
  return config;
}

at::Tensor Integers(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kLong));
}

// Sequences of these lengths with pseudo-random ids.
PackedTokens MakePack(const std::vector<int64_t>& lengths, int64_t vocabulary_size) {
  std::vector<int64_t> ids, positions, offsets = {0};
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      ids.push_back(static_cast<int64_t>(RandomBits(5, ids.size()) % vocabulary_size));
      positions.push_back(t);
    }
    offsets.push_back(offsets.back() + length);
  }
  return {Integers(ids), Integers(positions), offsets};
}

// Rows and targets of every token that has one before it.
void NextTokens(const PackedTokens& pack, at::Tensor* rows, at::Tensor* targets) {
  std::vector<int64_t> row_list;
  for (size_t b = 0; b + 1 < pack.offsets.size(); ++b) {
    for (int64_t t = pack.offsets[b]; t + 1 < pack.offsets[b + 1]; ++t) row_list.push_back(t);
  }
  *rows = Integers(row_list);
  *targets = pack.token_ids.index_select(0, *rows + 1);
}

// Weights of the scores in the test loss Σ a·logprob + b·entropy.
at::Tensor Coefficients(int64_t n, uint64_t key, at::ScalarType type) {
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = RandomUniform(key, i) - 0.3;
  return at::tensor(values, at::TensorOptions().dtype(at::kDouble)).to(type);
}

double ScoreLoss(Transformer& model, const PackedTokens& pack, bool with_backward) {
  at::Tensor rows, targets;
  NextTokens(pack, &rows, &targets);
  const auto pass = model.Forward(pack, with_backward);
  const TokenScores scores = pass->ScoreTokens(rows, targets, /*temperature=*/0.7);
  const at::Tensor a = Coefficients(rows.size(0), 1, scores.logprobs.scalar_type());
  const at::Tensor b = Coefficients(rows.size(0), 2, scores.logprobs.scalar_type());
  if (with_backward) pass->BackwardScores(a, b);
  return (a * scores.logprobs + b * scores.entropies).sum().item<double>();
}

// With a second reader of the hidden states: Σ a·logprob + c·hidden².
double SharedLoss(Transformer& model, const PackedTokens& pack, bool with_backward) {
  at::Tensor rows, targets;
  NextTokens(pack, &rows, &targets);
  const auto pass = model.Forward(pack, with_backward);
  const TokenScores scores = pass->ScoreTokens(rows, targets, /*temperature=*/0.7);
  const at::Tensor a = Coefficients(rows.size(0), 1, scores.logprobs.scalar_type());
  const at::Tensor c = Coefficients(rows.size(0), 4, scores.hidden.scalar_type()).unsqueeze(1);
  if (with_backward) {
    pass->BackwardScores(a, at::zeros_like(a), 2 * c * scores.hidden);
  } else {
    EXPECT_TRUE(at::equal(model.Forward(pack, false)->Hidden(rows), scores.hidden));
  }
  return (a * scores.logprobs).sum().item<double>() +
         (c * scores.hidden * scores.hidden).sum().item<double>();
}

double ValueLoss(Transformer& model, const PackedTokens& pack, bool with_backward) {
  const at::Tensor rows = at::arange(pack.token_ids.size(0), at::TensorOptions().dtype(at::kLong));
  const auto pass = model.Forward(pack, with_backward);
  const at::Tensor values = pass->Values(rows);
  const at::Tensor a = Coefficients(rows.size(0), 3, values.scalar_type());
  if (with_backward) pass->BackwardValues(2 * a * values);
  return (a * values * values).sum().item<double>();
}

// Central differences in f64 at five places of every tensor.
template <typename Loss>
void CheckGradients(const ModelConfig& config, HeadKind head, Loss loss) {
  const ParameterLayout layout(config, head);
  ReplicatedTestWeights weights(layout, at::kDouble, /*seed=*/7);
  Transformer model(config, head, &weights);
  const PackedTokens pack = MakePack({5, 9, 1, 9, 3}, config.vocabulary_size);
  loss(model, pack, true);
  for (size_t block = 0; block < layout.blocks().size(); ++block) {
    double* values = weights.weights()[block].data_ptr<double>();
    const double* gradient = weights.gradients()[block].data_ptr<double>();
    for (const TensorSlot& slot : layout.blocks()[block].tensors) {
      for (int probe = 0; probe < 5; ++probe) {
        const int64_t i =
            slot.offset + static_cast<int64_t>(RandomBits(probe, slot.offset) % slot.num_elements);
        const double saved = values[i], step = 1e-5;
        values[i] = saved + step;
        const double above = loss(model, pack, false);
        values[i] = saved - step;
        const double below = loss(model, pack, false);
        values[i] = saved;
        const double expected = (above - below) / (2 * step);
        EXPECT_NEAR(gradient[i], expected, 1e-7 + 1e-6 * std::abs(expected))
            << slot.name << " at " << i - slot.offset;
      }
    }
  }
}

TEST(TransformerTest, GradientsOfScoresEqualFiniteDifferences) {
  CheckGradients(SmallConfig(/*is_biased=*/false, /*is_tied=*/true), HeadKind::kLanguageModel,
                 ScoreLoss);
  CheckGradients(SmallConfig(/*is_biased=*/true, /*is_tied=*/false), HeadKind::kLanguageModel,
                 ScoreLoss);
  ModelConfig normed = SmallConfig(/*is_biased=*/false, /*is_tied=*/true);
  normed.is_qk_normed = true;
  CheckGradients(normed, HeadKind::kLanguageModel, ScoreLoss);
}

TEST(TransformerTest, GradientsOfASharedTrunkEqualFiniteDifferences) {
  for (const bool is_tied : {true, false}) {
    CheckGradients(SmallConfig(/*is_biased=*/true, is_tied), HeadKind::kLanguageModel, SharedLoss);
  }
}

TEST(TransformerTest, GradientsOfValuesEqualFiniteDifferences) {
  CheckGradients(SmallConfig(/*is_biased=*/true, /*is_tied=*/true), HeadKind::kValue, ValueLoss);
}

// Scores of a pack and gradients of the test loss, against the same sequences one by one.
TEST(TransformerTest, PackedEqualsUnpacked) {
  const ModelConfig config = SmallConfig(/*is_biased=*/true, /*is_tied=*/true);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kFloat, /*seed=*/3);
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  const PackedTokens pack = MakePack({17, 2, 40, 33, 16, 1, 38, 9}, config.vocabulary_size);
  at::Tensor rows, targets;
  NextTokens(pack, &rows, &targets);
  const at::Tensor a = Coefficients(rows.size(0), 1, at::kFloat);
  const auto packed = model.Forward(pack, true);
  const TokenScores all = packed->ScoreTokens(rows, targets, 1.0);
  packed->BackwardScores(a, a);
  std::vector<at::Tensor> packed_gradients;
  for (const at::Tensor& gradient : weights.gradients())
    packed_gradients.push_back(gradient.clone());

  // Were the boundaries lost, later sequences would see the first one, and this test would say so.
  PackedTokens merged = pack;
  merged.offsets = {0, pack.offsets.back()};
  const TokenScores mixed =
      model.Forward(merged, /*with_gradient=*/false)->ScoreTokens(rows, targets, 1.0);
  EXPECT_FALSE(mixed.logprobs.allclose(all.logprobs, 1e-5, 1e-5));

  weights.ZeroGradients();
  int64_t next_score = 0;
  for (size_t b = 0; b + 1 < pack.offsets.size(); ++b) {
    const int64_t begin = pack.offsets[b], n = pack.offsets[b + 1] - begin;
    const PackedTokens one = {
        pack.token_ids.narrow(0, begin, n), pack.positions.narrow(0, begin, n), {0, n}};
    const auto pass = model.Forward(one, true);
    const at::Tensor one_rows = at::arange(n - 1, at::TensorOptions().dtype(at::kLong));
    const TokenScores scores = pass->ScoreTokens(one_rows, one.token_ids.narrow(0, 1, n - 1), 1.0);
    EXPECT_TRUE(scores.logprobs.allclose(all.logprobs.narrow(0, next_score, n - 1), 1e-5, 1e-5))
        << b;
    EXPECT_TRUE(scores.entropies.allclose(all.entropies.narrow(0, next_score, n - 1), 1e-5, 1e-5))
        << b;
    const at::Tensor part = a.narrow(0, next_score, n - 1);
    pass->BackwardScores(part, part);
    next_score += n - 1;
    weights.ClearReady();
  }
  for (size_t block = 0; block < packed_gradients.size(); ++block) {
    const at::Tensor difference = packed_gradients[block] - weights.gradients()[block];
    EXPECT_LE(difference.norm().item<double>(),
              1e-5 * packed_gradients[block].norm().item<double>())
        << block;
  }
}

TEST(TransformerTest, EveryGradientIsReadyOnceAndTheTiedEmbeddingLast) {
  for (const bool is_tied : {true, false}) {
    const ModelConfig config = SmallConfig(/*is_biased=*/false, is_tied);
    const ParameterLayout layout(config, HeadKind::kLanguageModel);
    ReplicatedTestWeights weights(layout, at::kFloat, /*seed=*/3);
    Transformer model(config, HeadKind::kLanguageModel, &weights);
    ScoreLoss(model, MakePack({8, 5}, config.vocabulary_size), true);
    EXPECT_THAT(weights.ready(), ElementsAre(3, 2, 1, 0));
    EXPECT_TRUE(weights.is_all_released());
  }
}

TEST(TransformerTest, ScoresAreTheSameWithAndWithoutGradientAndNothingIsHeld) {
  const ModelConfig config = SmallConfig(/*is_biased=*/false, /*is_tied=*/true);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kFloat, /*seed=*/3);
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  const PackedTokens pack = MakePack({8, 5}, config.vocabulary_size);
  EXPECT_EQ(ScoreLoss(model, pack, true), ScoreLoss(model, pack, false));
  model.Forward(pack, true);  // dropped without a backward
  EXPECT_TRUE(weights.is_all_released());
  for (const at::Tensor& weight : weights.weights()) EXPECT_FALSE(weight.requires_grad());
}

TEST(TransformerTest, APassWithoutScoredTokensHasZeroGradients) {
  const ModelConfig config = SmallConfig(/*is_biased=*/false, /*is_tied=*/true);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kFloat, /*seed=*/3);
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  ScoreLoss(model, MakePack({1, 1}, config.vocabulary_size), true);
  EXPECT_THAT(weights.ready(), ElementsAre(3, 2, 1, 0));
  for (const at::Tensor& gradient : weights.gradients())
    EXPECT_EQ(gradient.abs().sum().item<double>(), 0);
}

TEST(TransformerTest, GradientsAddToWhatTheBufferHolds) {
  const ModelConfig config = SmallConfig(/*is_biased=*/true, /*is_tied=*/false);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kDouble, /*seed=*/3);
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  const PackedTokens pack = MakePack({8, 5}, config.vocabulary_size);
  ScoreLoss(model, pack, true);
  std::vector<at::Tensor> once;
  for (const at::Tensor& gradient : weights.gradients()) once.push_back(gradient.clone());
  weights.ClearReady();
  ScoreLoss(model, pack, true);
  for (size_t b = 0; b < once.size(); ++b)
    EXPECT_TRUE(weights.gradients()[b].allclose(2 * once[b], 1e-12, 1e-12));
}

TEST(TransformerTest, Bf16IsCloseToF32AndItsGradientsPointTheSameWay) {
  const ModelConfig config = SmallConfig(/*is_biased=*/true, /*is_tied=*/true);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights bf16(layout, at::kBFloat16, /*seed=*/3, /*scale=*/0.1);
  ReplicatedTestWeights f32(layout, at::kFloat, /*seed=*/3, /*scale=*/0.1);
  for (size_t b = 0; b < f32.weights().size(); ++b) f32.weights()[b].copy_(bf16.weights()[b]);
  const PackedTokens pack = MakePack({12, 7, 12}, config.vocabulary_size);
  Transformer small(config, HeadKind::kLanguageModel, &bf16);
  Transformer full(config, HeadKind::kLanguageModel, &f32);
  EXPECT_NEAR(ScoreLoss(small, pack, true), ScoreLoss(full, pack, true), 0.02);
  for (size_t b = 0; b < f32.gradients().size(); ++b) {
    const at::Tensor x = bf16.gradients()[b], y = f32.gradients()[b];
    EXPECT_EQ(x.scalar_type(), at::kFloat);
    EXPECT_GT(((x * y).sum() / (x.norm() * y.norm())).item<double>(), 0.999) << b;
  }
}

}  // namespace
}  // namespace routewright
