#include "kernels/row_ops/row_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/kernels/kernel_testing.h"

namespace routewright {
namespace {

const std::vector<int64_t> kWidths = {1, 2, 15, 16, 31, 32, 33, 63, 128, 576};

std::vector<float> NormAt(CpuLevel level, const std::vector<float>& x, int64_t width,
                          const std::vector<float>& weight) {
  std::vector<float> y(x.size());
  RmsNorm(x.data(), static_cast<int64_t>(x.size()) / width, width, weight.data(), 1e-5, y.data(),
          level);
  return y;
}

std::vector<float> SiluAt(CpuLevel level, const std::vector<float>& gate_up, int64_t num_rows) {
  std::vector<float> y(gate_up.size() / 2);
  SiluMultiply(gate_up.data(), num_rows, static_cast<int64_t>(y.size()) / num_rows, y.data(),
               level);
  return y;
}

std::vector<float> RotatedAt(CpuLevel level, std::vector<float> heads, int64_t num_heads,
                             const std::vector<float>& cosines, const std::vector<float>& sines) {
  RotateHeads(heads.data(), num_heads, static_cast<int64_t>(heads.size()) / num_heads,
              cosines.data(), sines.data(), level);
  return heads;
}

void ExpectNear(const std::vector<float>& actual, const std::vector<float>& expected,
                double relative) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], relative * std::abs(expected[i]) + 1e-37)
        << "element " << i;
  }
}

TEST(RowOpsTest, RmsNormEqualsTheReference) {
  for (CpuLevel level : LevelsHere()) {
    for (int64_t width : kWidths) {
      const std::vector<float> weight = RandomFloats(width, 1);
      for (double scale : {1e-3, 1.0, 1e6}) {
        const std::vector<float> x = RandomFloats(3 * width, 2, scale);
        std::vector<float> expected(x.size());
        RmsNormReference(x.data(), 3, width, weight.data(), 1e-5, expected.data());
        ExpectNear(NormAt(level, x, width, weight), expected, 1e-6);
      }
    }
  }
}

TEST(RowOpsTest, SiluMultiplyEqualsTheReference) {
  for (CpuLevel level : LevelsHere()) {
    for (int64_t width : kWidths) {
      for (double scale : {1e-3, 1.0, 30.0}) {
        const std::vector<float> x = RandomFloats(2 * 3 * width, 4, scale);
        std::vector<float> expected(3 * width);
        SiluMultiplyReference(x.data(), 3, width, expected.data());
        ExpectNear(SiluAt(level, x, 3), expected, 1e-6);
      }
    }
  }
}

TEST(RowOpsTest, SiluOfExtremeGatesIsFinite) {
  for (CpuLevel level : LevelsHere()) {
    const std::vector<float> y = SiluAt(level, {1e30F, -1e30F, 0, 88, -88, 2, 2, 2, 2, 2}, 1);
    EXPECT_FLOAT_EQ(y[0], 2e30F);
    EXPECT_EQ(y[1], 0.0F);
    EXPECT_EQ(y[2], 0.0F);
    EXPECT_FLOAT_EQ(y[3], 176.0F);
    EXPECT_NEAR(y[4], 0.0F, 1e-34);
  }
}

TEST(RowOpsTest, RotationEqualsTheReferenceAndKeepsLengths) {
  for (CpuLevel level : LevelsHere()) {
    for (int64_t head_width : {2, 6, 16, 32, 62, 64, 128}) {
      std::vector<float> cosines, sines;
      for (int64_t i = 0; i < head_width / 2; ++i) {
        const double angle = 37 * std::pow(1e4, -2.0 * i / head_width);
        cosines.push_back(static_cast<float>(std::cos(angle)));
        sines.push_back(static_cast<float>(std::sin(angle)));
      }
      const std::vector<float> heads = RandomFloats(3 * head_width, 6);
      std::vector<float> expected = heads;
      RotateHeadsReference(expected.data(), 3, head_width, cosines.data(), sines.data());
      const std::vector<float> actual = RotatedAt(level, heads, 3, cosines, sines);
      double before = 0, after = 0;
      for (size_t i = 0; i < heads.size(); ++i) {
        EXPECT_NEAR(actual[i], expected[i], 3e-7);
        before += heads[i] * heads[i];
        after += actual[i] * actual[i];
      }
      EXPECT_NEAR(before, after, 1e-4);
    }
  }
}

TEST(RowOpsTest, RowIsTheSameBitsInAnyBatch) {
  for (CpuLevel level : LevelsHere()) {
    const int64_t width = 37;
    const std::vector<float> weight = RandomFloats(width, 1), x = RandomFloats(5 * width, 2);
    const std::vector<float> together = NormAt(level, x, width, weight);
    for (int64_t row = 0; row < 5; ++row) {
      const std::vector<float> one(x.begin() + row * width, x.begin() + (row + 1) * width);
      const std::vector<float> alone = NormAt(level, one, width, weight);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + row * width));
    }
  }
}

TEST(RowOpsTest, Avx2AndAvx512GiveEqualBits) {
  if (BestCpuLevel() != CpuLevel::kAvx512) GTEST_SKIP() << "no AVX-512 here";
  const CpuLevel narrow = CpuLevel::kAvx2, wide = CpuLevel::kAvx512;
  for (int64_t width : kWidths) {
    const std::vector<float> weight = RandomFloats(width, 1), x = RandomFloats(4 * width, 2, 5);
    EXPECT_EQ(NormAt(narrow, x, width, weight), NormAt(wide, x, width, weight));
    EXPECT_EQ(SiluAt(narrow, x, 2), SiluAt(wide, x, 2));
    const std::vector<float> cosines = RandomFloats(width, 3), sines = RandomFloats(width, 4);
    EXPECT_EQ(RotatedAt(narrow, x, 2, cosines, sines), RotatedAt(wide, x, 2, cosines, sines));
  }
}

}  // namespace
}  // namespace routewright
