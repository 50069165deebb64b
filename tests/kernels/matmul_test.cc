#include "kernels/matmul/matmul.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

// Small, odd, and large enough for every path.
constexpr int64_t kShapes[][3] = {
    {1, 1, 1}, {3, 5, 7}, {33, 65, 17}, {200, 150, 130}, {1, 4096, 600}};

at::Tensor Random(int64_t rows, int64_t columns) { return at::randn({rows, columns}); }

// ‖a − b‖ / ‖b‖, in f64.
double Apart(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

TEST(MatmulTest, IsTheProductOfMatricesAndOfTheirTransposedViews) {
  for (const auto& [m, k, n] : kShapes) {
    for (const bool is_a_transposed : {false, true}) {
      for (const bool is_b_transposed : {false, true}) {
        const at::Tensor a = is_a_transposed ? Random(k, m).t() : Random(m, k);
        const at::Tensor b = is_b_transposed ? Random(n, k).t() : Random(k, n);
        const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
        at::Tensor to = at::ones({m, n});
        MatmulInto(a, b, to);
        EXPECT_LT(Apart(to, exact), 2e-6) << m << " " << k << " " << n;
        AddMatmul(a, b, to);
        EXPECT_LT(Apart(to, 2 * exact), 2e-6) << m << " " << k << " " << n;
      }
    }
  }
}

TEST(MatmulTest, WritesIntoAPartOfAWiderMatrix) {
  const at::Tensor a = Random(200, 150), b = Random(150, 130);
  const at::Tensor whole = at::zeros({200, 260});
  MatmulInto(a, b, whole.narrow(1, 130, 130));
  EXPECT_LT(Apart(whole.narrow(1, 130, 130), at::mm(a.to(at::kDouble), b.to(at::kDouble))), 2e-6);
  EXPECT_EQ(whole.narrow(1, 0, 130).abs().max().item<float>(), 0.0f);
}

TEST(MatmulTest, AddsProductsOfBf16ToAnF32Sum) {
  const at::Tensor a = Random(200, 150).to(at::kBFloat16), b = Random(150, 130).to(at::kBFloat16);
  const at::Tensor sum = at::ones({200, 130});
  AddMatmul(a, b, sum);
  EXPECT_LT(Apart(sum - 1, at::mm(a.to(at::kDouble), b.to(at::kDouble))), 5e-3);
}

struct Gradients {
  at::Tensor y, x, weight, bias;
};

template <typename Function>
Gradients Differentiate(const Function& function, int64_t tokens, int64_t in, int64_t out,
                        bool has_bias, bool has_buffer, at::ScalarType type) {
  const auto leaf = [&](const at::Tensor& values) {
    return values.to(type).detach().requires_grad_(true);
  };
  const at::Tensor x = leaf(Random(tokens, in)), weight = leaf(Random(out, in));
  const at::Tensor bias = has_bias ? leaf(Random(1, out).squeeze(0)) : at::Tensor();
  if (has_buffer) weight.mutable_grad() = at::ones({out, in}, weight.options());
  const at::Tensor y = function(x, weight, bias);
  y.backward(Random(tokens, out).to(type));
  return {y.detach(), x.grad(), weight.grad(), has_bias ? bias.grad() : at::Tensor()};
}

TEST(LinearTest, HasTheValueAndTheGradientsOfLibTorchsOwn) {
  const auto at_linear = [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(x, weight, bias);
  };
  for (const auto& [m, k, n] : kShapes) {
    for (const bool has_bias : {false, true}) {
      for (const bool has_buffer : {false, true}) {
        at::manual_seed(1);
        const Gradients ours = Differentiate(Linear, m, k, n, has_bias, has_buffer, at::kFloat);
        at::manual_seed(1);
        const Gradients exact =
            Differentiate(at_linear, m, k, n, has_bias, has_buffer, at::kDouble);
        EXPECT_LT(Apart(ours.y, exact.y), 2e-6);
        EXPECT_LT(Apart(ours.x, exact.x), 2e-6);
        EXPECT_LT(Apart(ours.weight, exact.weight), 2e-6);
        if (has_bias) {
          EXPECT_LT(Apart(ours.bias, exact.bias), 2e-6);
        }
      }
    }
  }
}

TEST(LinearTest, AddsToTheGradientThatIsThere) {
  const at::Tensor weight = Random(130, 150).requires_grad_(true);
  const at::Tensor buffer = at::ones({130, 150});
  weight.mutable_grad() = buffer;
  const at::Tensor x = Random(200, 150);
  Linear(x, weight).backward(at::ones({200, 130}));
  EXPECT_TRUE(weight.grad().is_same(buffer));
  const at::Tensor exact = at::ones({130, 200}, at::kDouble).mm(x.to(at::kDouble));
  EXPECT_LT(Apart(buffer - 1, exact), 1e-5);
}

}  // namespace
}  // namespace routewright
