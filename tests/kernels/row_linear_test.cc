#include "kernels/row_linear/row_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_testing.h"

namespace routewright {
namespace {

struct Shape {
  int64_t num_outputs, num_inputs;
};

class Layer {
 public:
  Layer(Shape shape, uint64_t key)
      : shape_(shape),
        weight_(RandomFloats(shape.num_outputs * shape.num_inputs, key)),
        bias_(RandomFloats(shape.num_outputs, key + 1)),
        packed_(shape.num_outputs, shape.num_inputs) {
    packed_.SetRows(0, weight_);
  }
  std::vector<float> Run(const std::vector<float>& x, CpuLevel level, int num_threads = 1,
                         bool with_bias = true) const {
    const int64_t num_rows = static_cast<int64_t>(x.size()) / shape_.num_inputs;
    std::vector<float> y(num_rows * shape_.num_outputs, std::numeric_limits<float>::quiet_NaN());
    RowLinear(x.data(), num_rows, packed_, with_bias ? bias_.data() : nullptr, y.data(),
              num_threads, level);
    return y;
  }
  std::vector<float> Reference(const std::vector<float>& x, bool with_bias) const {
    const int64_t num_rows = static_cast<int64_t>(x.size()) / shape_.num_inputs;
    std::vector<float> y(num_rows * shape_.num_outputs);
    RowLinearReference(x.data(), num_rows, weight_.data(), shape_.num_outputs, shape_.num_inputs,
                       with_bias ? bias_.data() : nullptr, y.data());
    return y;
  }
  const PackedMatrix& packed() const { return packed_; }
  const std::vector<float>& weight() const { return weight_; }

 private:
  Shape shape_;
  std::vector<float> weight_, bias_;
  PackedMatrix packed_;
};

const std::vector<Shape> kShapes = {{1, 1},   {31, 33},   {32, 16}, {33, 31},
                                    {130, 7}, {200, 129}, {257, 64}};

TEST(RowLinearTest, EqualsTheReferenceAtOddSizes) {
  for (CpuLevel level : LevelsHere()) {
    for (Shape shape : kShapes) {
      const Layer layer(shape, 3);
      for (int64_t num_rows : {1, 2, 3, 4, 5, 12, 13, 25, 97, 100}) {
        const std::vector<float> x = RandomFloats(num_rows * shape.num_inputs, 17);
        for (bool with_bias : {false, true}) {
          const std::vector<float> y = layer.Run(x, level, 1, with_bias);
          const std::vector<float> expected = layer.Reference(x, with_bias);
          for (size_t i = 0; i < y.size(); ++i) {
            ASSERT_NEAR(y[i], expected[i], 1e-6 * (1 + shape.num_inputs))
                << CpuLevelName(level) << " " << num_rows << " rows, element " << i;
          }
        }
      }
    }
  }
}

TEST(RowLinearTest, RowIsTheSameBitsInAnyBatch) {
  for (CpuLevel level : LevelsHere()) {
    for (Shape shape : kShapes) {
      const Layer layer(shape, 5);
      constexpr int64_t kRows = 101;
      const std::vector<float> x = RandomFloats(kRows * shape.num_inputs, 18);
      const std::vector<float> together = layer.Run(x, level);
      for (int64_t size : {1, 2, 3, 7, 12, 50}) {
        for (int64_t first = 0; first + size <= kRows; first += size) {
          const std::vector<float> part(x.begin() + first * shape.num_inputs,
                                        x.begin() + (first + size) * shape.num_inputs);
          const std::vector<float> y = layer.Run(part, level);
          ASSERT_TRUE(std::equal(y.begin(), y.end(), together.begin() + first * shape.num_outputs))
              << CpuLevelName(level) << " rows " << first << "+" << size;
        }
      }
    }
  }
}

TEST(RowLinearTest, ThreadsDoNotChangeBits) {
  const Layer layer({1000, 300}, 6);
  for (int64_t num_rows : {1, 5, 40}) {
    const std::vector<float> x = RandomFloats(num_rows * 300, 19);
    EXPECT_EQ(layer.Run(x, BestCpuLevel(), 1), layer.Run(x, BestCpuLevel(), 3));
  }
}

TEST(RowLinearTest, Avx2AndAvx512GiveEqualBits) {
  if (BestCpuLevel() != CpuLevel::kAvx512) GTEST_SKIP() << "no AVX-512 here";
  for (Shape shape : kShapes) {
    const Layer layer(shape, 7);
    const std::vector<float> x = RandomFloats(14 * shape.num_inputs, 20);
    EXPECT_EQ(layer.Run(x, CpuLevel::kAvx2), layer.Run(x, CpuLevel::kAvx512));
  }
}

TEST(RowLinearTest, ExtremeValuesStayInTheirOutput) {
  Layer layer({40, 8}, 8);
  std::vector<float> x = RandomFloats(3 * 8, 21);
  x[8 + 2] = std::numeric_limits<float>::infinity();
  for (CpuLevel level : LevelsHere()) {
    const std::vector<float> y = layer.Run(x, level);
    for (int64_t output = 0; output < 40; ++output) {
      EXPECT_TRUE(std::isfinite(y[output]));
      EXPECT_FALSE(std::isfinite(y[40 + output]));
      EXPECT_TRUE(std::isfinite(y[80 + output]));
    }
  }
}

TEST(RowLinearTest, PackedRowsComeBackAndCanBeSetInParts) {
  const Layer layer({67, 9}, 9);
  PackedMatrix parts(67, 9);
  parts.SetRows(0, std::span(layer.weight()).first(40 * 9));
  parts.SetRows(40, std::span(layer.weight()).subspan(40 * 9));
  for (int64_t output = 0; output < 67; ++output) {
    std::vector<float> row(9), other(9);
    layer.packed().CopyRow(output, row.data());
    parts.CopyRow(output, other.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), layer.weight().begin() + output * 9));
    EXPECT_EQ(row, other);
  }
}

TEST(RowLinearTest, NoRowsIsNoWork) {
  const Layer layer({5, 5}, 10);
  EXPECT_TRUE(layer.Run({}, BestCpuLevel()).empty());
}

}  // namespace
}  // namespace routewright
