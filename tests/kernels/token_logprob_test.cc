#include "kernels/token_logprob/token_logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "common/random.h"
#include "tests/counting_allocator.h"

namespace routewright {
namespace {

at::Tensor Random(std::vector<int64_t> shape, uint64_t key, double scale) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = scale * (2 * RandomUniform(key, i) - 1);
  return at::tensor(values, at::TensorOptions().dtype(at::kDouble)).view(shape);
}

struct Case {
  int64_t num_rows, vocabulary_size, width;
  at::ScalarType type;
  double scale;  // of hidden and weight: extremes make one-hot distributions
  double temperature;
  double tolerance;
};

// Forward and backward against f64 autograd over whole logits, from operands
// rounded to the case's type.
void Compare(const Case& test) {
  const at::Tensor hidden = Random({test.num_rows, test.width}, 1, test.scale).to(test.type);
  const at::Tensor weight = Random({test.vocabulary_size, test.width}, 2, test.scale).to(test.type);
  std::vector<int64_t> target_ids(test.num_rows);
  for (int64_t i = 0; i < test.num_rows; ++i)
    target_ids[i] = static_cast<int64_t>(RandomBits(3, i) % test.vocabulary_size);
  const at::Tensor targets = at::tensor(target_ids, at::TensorOptions().dtype(at::kLong));
  const at::Tensor d_logprobs = Random({test.num_rows}, 4, 1),
                   d_entropies = Random({test.num_rows}, 5, 1);

  const at::Tensor exact_hidden = hidden.to(at::kDouble).clone().requires_grad_(true);
  const at::Tensor exact_weight = weight.to(at::kDouble).clone().requires_grad_(true);
  const at::Tensor log_p =
      at::log_softmax(at::linear(exact_hidden, exact_weight) / test.temperature, 1);
  const at::Tensor logprobs = log_p.gather(1, targets.unsqueeze(1)).squeeze(1);
  const at::Tensor entropies = -(log_p.exp() * log_p).sum(1);
  ((logprobs * d_logprobs).sum() + (entropies * d_entropies).sum()).backward();

  const TokenLogprobs forward = TokenLogprobForward(hidden, weight, targets, test.temperature);
  const at::ScalarType sum_type = test.type == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor weight_gradient = at::zeros_like(weight, at::TensorOptions().dtype(sum_type));
  const at::Tensor d_hidden =
      TokenLogprobBackward(hidden, weight, targets, test.temperature, forward,
                           d_logprobs.to(sum_type), d_entropies.to(sum_type), weight_gradient);
  const auto near = [&](const at::Tensor& ours, const at::Tensor& exact, double tolerance) {
    if (exact.numel() == 0) return true;
    return (ours.to(at::kDouble) - exact).abs().max().item<double>() <=
           tolerance * (1 + exact.abs().max().item<double>());
  };
  SCOPED_TRACE(testing::Message() << test.num_rows << " rows, V " << test.vocabulary_size
                                  << ", scale " << test.scale);
  EXPECT_EQ(forward.logprobs.scalar_type(), sum_type);
  EXPECT_TRUE(near(forward.logprobs, logprobs.detach(), test.tolerance));
  EXPECT_TRUE(near(forward.entropies, entropies.detach(), test.tolerance));
  EXPECT_EQ(d_hidden.scalar_type(), test.type);
  EXPECT_TRUE(
      near(d_hidden, exact_hidden.grad(), test.type == at::kBFloat16 ? 1e-2 : 4 * test.tolerance));
  EXPECT_TRUE(near(weight_gradient, exact_weight.grad(), 4 * test.tolerance));
}

TEST(TokenLogprobTest, EqualsAutogradOverWholeLogitsAtOddSizes) {
  for (const int64_t vocabulary_size : {1, 31, 33, 1000}) {
    for (const int64_t num_rows : {1, 31, 33}) {
      Compare({num_rows, vocabulary_size, 17, at::kDouble, 1.0, 0.7, 1e-12});
      Compare({num_rows, vocabulary_size, 17, at::kFloat, 1.0, 0.7, 2e-6});
      Compare({num_rows, vocabulary_size, 17, at::kBFloat16, 1.0, 1.0, 2e-6});
    }
  }
}

TEST(TokenLogprobTest, StaysFiniteAtExtremeLogits) {
  Compare({33, 100, 16, at::kFloat, 30.0, 1.0, 1e-5});  // logits of thousands
  Compare({33, 100, 16, at::kFloat, 1e-6, 1.0, 2e-6});  // uniform
  Compare({33, 100, 16, at::kFloat, 3.0, 0.01, 1e-5});  // nearly greedy
}

TEST(TokenLogprobTest, RowsBeyondOneChunkAreTheSame) {
  const int64_t vocabulary_size = 200000;
  EXPECT_LT(TokenLogprobChunk(vocabulary_size, kTokenLogprobChunkBytes), 33);
  Compare({33, vocabulary_size, 3, at::kFloat, 1.0, 1.0, 1e-5});
  Compare({33, vocabulary_size, 17, at::kBFloat16, 1.0, 1.0, 1e-5});  // two slices of the weight
}

TEST(TokenLogprobTest, NoRowsGiveNoScores) { Compare({0, 31, 8, at::kFloat, 1.0, 1.0, 1e-6}); }

TEST(TokenLogprobTest, BothBuffersStayBelowTheBound) {
  for (const int64_t bound : {int64_t{8} << 20, int64_t{40} << 20, int64_t{1} << 30}) {
    for (const int64_t vocabulary_size : {1, 1024, 49152, 151936, 1000000}) {
      const int64_t chunk = TokenLogprobChunk(vocabulary_size, bound);
      EXPECT_GE(chunk, 1);
      EXPECT_LE(chunk * 2 * 4 * vocabulary_size, bound);
    }
  }
}

// Qwen2.5's vocabulary and 0.5B's width, forward and backward, beside operands and results.
// The environment's ROUTEWRIGHT_TEST_HEAD_TOKENS=16384 takes half an hour; what grows with
// tokens is 20 bytes each.
TEST(TokenLogprobTest, TheHeadTakesAtMost64MebibytesBesideItsOperands) {
  const char* wanted = std::getenv("ROUTEWRIGHT_TEST_HEAD_TOKENS");
  const int64_t num_rows = wanted != nullptr ? std::atoll(wanted) : 96;
  const int64_t vocabulary_size = 151936, width = 896;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor hidden = Random({num_rows, width}, 1, 1.0).to(at::kFloat).to(type);
    const at::Tensor weight = at::zeros({vocabulary_size, width}, at::dtype(type));
    const at::Tensor weight_gradient = at::zeros({vocabulary_size, width}, at::dtype(at::kFloat));
    const at::Tensor targets = at::zeros({num_rows}, at::dtype(at::kLong));
    const at::Tensor ones = at::ones({num_rows}, at::dtype(at::kFloat));
    CountingAllocator& memory = CountingAllocator::Install();
    const int64_t before = memory.current();
    memory.ResetPeak();
    const TokenLogprobs forward = TokenLogprobForward(hidden, weight, targets, 1.0);
    const at::Tensor d_hidden =
        TokenLogprobBackward(hidden, weight, targets, 1.0, forward, ones, ones, weight_gradient);
    const int64_t extra = memory.peak() - before;
    std::printf("%lld tokens x %lld, %s: %.1f MiB extra\n", static_cast<long long>(num_rows),
                static_cast<long long>(vocabulary_size), at::toString(type),
                static_cast<double>(extra) / (1 << 20));
    EXPECT_LE(extra - static_cast<int64_t>(d_hidden.nbytes()), int64_t{64} << 20);
    if (wanted != nullptr) break;
  }
}

}  // namespace
}  // namespace routewright
