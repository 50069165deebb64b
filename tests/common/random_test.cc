#include "common/random.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(RandomTest, DrawIsAFunctionOfKeyAndCounter) {
  EXPECT_EQ(RandomBits(1, 2), RandomBits(1, 2));
  EXPECT_NE(RandomBits(1, 2), RandomBits(1, 3));
  EXPECT_NE(RandomBits(1, 2), RandomBits(2, 2));
}

// Known answer of Philox4x32-10 for counter 0, key 0 (Random123's kat_vectors: 6627e8d5 e169c58d
// …).
TEST(RandomTest, EqualsRandom123) { EXPECT_EQ(RandomBits(0, 0), 0x6627e8d5e169c58dULL); }

TEST(RandomTest, StreamKeysDifferByEveryPart) {
  const uint64_t key = StreamKey(1, "train/000001/0000/00", 0);
  EXPECT_NE(key, StreamKey(2, "train/000001/0000/00", 0));
  EXPECT_NE(key, StreamKey(1, "train/000001/0000/01", 0));
  EXPECT_NE(key, StreamKey(1, "train/000001/0000/00", 1));
}

TEST(RandomTest, UniformHasTheRightMeanAndBounds) {
  double sum = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    const double u = RandomUniform(7, i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

}  // namespace
}  // namespace routewright
