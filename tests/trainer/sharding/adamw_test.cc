#include "trainer/sharding/adamw.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/random.h"
#include "tests/trainer/update/tiny_model.h"

namespace routewright {
namespace {

at::Tensor RandomVector(int64_t count, uint64_t key) {
  at::Tensor values = at::zeros({count});
  for (int64_t i = 0; i < count; ++i) {
    values.mutable_data_ptr<float>()[i] = static_cast<float>(RandomUniform(key, i) - 0.5);
  }
  return values;
}

const AdamWSettings kSettings = {.learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.5};

TEST(AdamWTest, ThreeStepsEqualTheFormulaInDoublePrecision) {
  const int64_t count = 37;
  at::Tensor parameters = RandomVector(count, 1);
  at::Tensor first = at::zeros({count}), second = at::zeros({count});
  std::vector<double> theta(count), m(count, 0.0), v(count, 0.0);
  for (int64_t i = 0; i < count; ++i) theta[i] = parameters.const_data_ptr<float>()[i];
  for (int step = 1; step <= 3; ++step) {
    AdamWSettings settings = kSettings;
    settings.step = step;
    const at::Tensor gradients = RandomVector(count, 100 + step);
    UpdateAdamW(settings, /*is_decayed=*/true, gradients, parameters, first, second);
    for (int64_t i = 0; i < count; ++i) {
      const double g = gradients.const_data_ptr<float>()[i] * 0.5;
      theta[i] *= 1.0 - 1e-2 * 0.1;
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      const double m_hat = m[i] / (1.0 - std::pow(0.9, step));
      const double v_hat = v[i] / (1.0 - std::pow(0.999, step));
      theta[i] -= 1e-2 * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_NEAR(parameters.const_data_ptr<float>()[i], theta[i], 2e-6) << "element " << i;
  }
}

TEST(AdamWTest, ARangeCutAnywhereHasTheSameBits) {
  const int64_t count = 101;
  const at::Tensor gradients = RandomVector(count, 5);
  at::Tensor whole = RandomVector(count, 6), parts = whole.clone();
  at::Tensor m1 = at::zeros({count}), v1 = at::zeros({count});
  at::Tensor m2 = at::zeros({count}), v2 = at::zeros({count});
  UpdateAdamW(kSettings, true, gradients, whole, m1, v1);
  for (auto [first, n] : {std::pair{0, 1}, {1, 37}, {38, 63}}) {
    UpdateAdamW(kSettings, true, gradients.narrow(0, first, n), parts.narrow(0, first, n),
                m2.narrow(0, first, n), v2.narrow(0, first, n));
  }
  EXPECT_TRUE(whole.equal(parts));
}

TEST(AdamWTest, NormsAndBiasesDoNotDecay) {
  ModelConfig config = TinyModelConfig();
  config.SetArchitecture(Architecture::kQwen2);
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  for (const BlockLayout& block : layout.blocks()) {
    int64_t next = 0;
    for (const DecayRange& range : DecayRanges(block)) {
      EXPECT_EQ(range.first, next);
      next += range.count;
      for (const TensorSlot& slot : block.tensors) {
        if (slot.offset < range.first || slot.offset >= range.first + range.count) continue;
        EXPECT_EQ(range.is_decayed, slot.shape.size() > 1) << slot.name;
      }
    }
    EXPECT_EQ(next, block.num_elements) << block.name;
  }
}

TEST(AdamWTest, SquaredNormIsTheSumOfSquares) {
  const at::Tensor gradients = RandomVector(1003, 9);
  double sum = 0.0;
  for (int64_t i = 0; i < gradients.numel(); ++i) {
    const double g = gradients.const_data_ptr<float>()[i];
    sum += g * g;
  }
  EXPECT_NEAR(SquaredNorm(gradients), sum, 1e-12 * sum);
}

}  // namespace
}  // namespace routewright
