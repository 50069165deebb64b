#include "policy/model/activation_memory.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/token_logprob/token_logprob.h"
#include "policy/transformer/transformer.h"
#include "tests/counting_allocator.h"
#include "tests/policy/model/shaped_model.h"
#include "tests/policy/transformer/test_weights.h"

namespace routewright {
namespace {

struct Shape {
  int64_t width, inner, heads, kv_heads;
  bool is_qk_normed = false;
};

ModelConfig MakeConfig(const Shape& shape, int64_t layers) {
  ModelConfig config = ShapedModel({.vocabulary = 1024,
                                    .width = shape.width,
                                    .inner_width = shape.inner,
                                    .layers = layers,
                                    .heads = shape.heads,
                                    .kv_heads = shape.kv_heads,
                                    .head_width = 32,
                                    .positions = 1024});
  config.is_qk_normed = shape.is_qk_normed;
  return config;
}

// Sequences of 128 tokens.
PackedTokens MakePack(int64_t tokens) {
  constexpr int64_t kLength = 128;
  const auto longs = at::TensorOptions().dtype(at::kLong);
  PackedTokens pack{at::zeros({tokens}, longs), at::zeros({tokens}, longs), {0}};
  for (int64_t first = 0; first < tokens; first += kLength) {
    pack.positions.narrow(0, first, kLength).copy_(at::arange(kLength, longs));
    pack.offsets.push_back(first + kLength);
  }
  return pack;
}

struct Counted {
  double kept = 0.0, peak = 0.0;  // bytes
};

Counted CountPass(const ModelConfig& config, at::ScalarType type, bool recompute, int64_t tokens) {
  CountingAllocator& memory = CountingAllocator::Install();
  ReplicatedTestWeights weights(ParameterLayout(config, HeadKind::kLanguageModel), type, 1, 0.02);
  Transformer model(config, HeadKind::kLanguageModel, &weights,
                    {.recompute_activations = recompute});
  const PackedTokens pack = MakePack(tokens);
  const at::Tensor rows = at::arange(tokens - 1, at::TensorOptions().dtype(at::kLong));
  const at::Tensor targets = pack.token_ids.narrow(0, 1, tokens - 1);
  const at::Tensor ones = at::ones({tokens - 1});
  model.Forward(pack, /*with_gradient=*/false);  // makes the tables
  const int64_t before = memory.current();
  memory.ResetPeak();
  const auto pass = model.Forward(pack, /*with_gradient=*/true);
  Counted counted;
  counted.kept = static_cast<double>(memory.current() - before);
  pass->ScoreTokens(rows, targets, 1.0);
  pass->BackwardScores(ones, ones);
  counted.peak = static_cast<double>(memory.peak() - before);
  return counted;
}

TEST(ActivationMemoryTest, StatesWhatAPassHolds) {
  constexpr int64_t kTokens = 4096;
  const Shape shapes[] = {{128, 384, 4, 2}, {128, 768, 4, 2}, {256, 384, 4, 2},
                          {128, 384, 8, 2}, {128, 384, 8, 8}, {128, 384, 4, 2, true}};
  for (const Shape& shape : shapes) {
    for (const int64_t layers : {2, 6}) {
      for (const bool recompute : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << "C " << shape.width << " I " << shape.inner << " H " << shape.heads << " K "
                     << shape.kv_heads << " L " << layers << " recompute " << recompute
                     << " qk norm " << shape.is_qk_normed);
        const ModelConfig config = MakeConfig(shape, layers);
        const Counted counted = CountPass(config, at::kFloat, recompute, kTokens);
        const ActivationElements elements =
            CountActivations(config, recompute, /*are_norms_wide=*/false);
        const double kept =
            4.0 * kTokens * (layers * elements.kept_per_block + elements.kept_always);
        EXPECT_NEAR(counted.kept, kept, 0.005 * kept);
        const int64_t chunk_bytes =
            TokenLogprobChunk(config.vocabulary_size, kTokenLogprobChunkBytes) * 8 *
            config.vocabulary_size;
        const ActivationPeak peak =
            PeakActivationBytes(config, recompute, kTokens, /*bytes_per_element=*/4, chunk_bytes,
                                /*are_norms_wide=*/false);
        const auto planned = static_cast<double>(std::max(peak.in_head, peak.in_block));
        EXPECT_NEAR(counted.peak, planned, 0.02 * planned);
      }
    }
  }
}

// On the CPU the norms keep f32. What else the head widens is at most some MiB: not stated.
TEST(ActivationMemoryTest, StatesWhatAPassInBfloatKeeps) {
  constexpr int64_t kTokens = 256;
  for (const Shape& shape : {Shape{128, 384, 4, 2}, Shape{256, 384, 4, 2},
                             Shape{128, 384, 4, 2, /*is_qk_normed=*/true}}) {
    for (const bool recompute : {false, true}) {
      const ModelConfig config = MakeConfig(shape, /*layers=*/6);
      const Counted counted = CountPass(config, at::kBFloat16, recompute, kTokens);
      const ActivationElements elements =
          CountActivations(config, recompute, /*are_norms_wide=*/true);
      const double kept = 2.0 * kTokens * (6 * elements.kept_per_block + elements.kept_always);
      EXPECT_NEAR(counted.kept, kept, 0.01 * kept)
          << "C " << shape.width << " recompute " << recompute << " qk norm " << shape.is_qk_normed;
    }
  }
}

}  // namespace
}  // namespace routewright
