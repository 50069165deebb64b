#include "trainer/live_page/curves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();

Metrics Of(double value, const std::string& name = "a") {
  Metrics metrics;
  metrics.Set(name, value);
  return metrics;
}

TEST(CurvesTest, AReaderGetsEveryRowOnceInPiecesOfTheLimit) {
  Curves curves(100);
  for (int step = 0; step < 10; ++step) curves.Add(step, Of(step * 0.5));
  std::vector<int64_t> steps;
  for (bool more = true; more;) {
    const auto rows = curves.Rows(steps.empty() ? -1 : steps.back(), kNoEnd, 4);
    EXPECT_LE(rows["steps"].size(), 4u);
    for (size_t i = 0; i < rows["steps"].size(); ++i) {
      steps.push_back(rows["steps"][i]);
      EXPECT_EQ(rows["metrics"]["a"][i], steps.back() * 0.5);
    }
    more = rows["more"];
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(curves.Rows(9, kNoEnd, 4)["steps"].size(), 0u);
  EXPECT_EQ(curves.Rows(2, 5, 100)["steps"], nlohmann::ordered_json({3, 4, 5}));
}

TEST(CurvesTest, AMetricThatAStepLacksIsNull) {
  Curves curves(100);
  curves.Add(0, Of(1));
  curves.Add(1, Of(2, "b"));
  curves.Add(2, Of(std::nan("")));
  const auto metrics = curves.Rows(-1, kNoEnd, 100)["metrics"];
  EXPECT_EQ(metrics["a"].dump(), "[1.0,null,null]");
  EXPECT_EQ(metrics["b"].dump(), "[null,2.0,null]");
}

TEST(CurvesTest, AMillionStepsKeepTheirShapeInBoundedMemory) {
  Curves curves(1000);
  for (int step = 0; step < 1'000'000; ++step) {
    curves.Add(step, Of(step));
    ASSERT_LE(curves.num_rows(), 1000u);
    ASSERT_EQ(curves.last_step(), step);
  }
  EXPECT_GT(curves.num_rows(), 450u);
  EXPECT_GT(curves.generation(), 5);
  const auto rows = curves.Rows(-1, kNoEnd, 5000);
  for (size_t i = 0; i + 1 < rows["steps"].size(); ++i) {
    EXPECT_EQ(rows["steps"][i], static_cast<int64_t>(i) * curves.stride());
    EXPECT_EQ(rows["metrics"]["a"][i], rows["steps"][i]);
  }
  EXPECT_EQ(rows["steps"].back(), 999'999);
}

TEST(CurvesTest, NamesWithoutEndAreLeftOut) {
  Curves curves(10);
  for (int step = 0; step < 2000; ++step) curves.Add(step, Of(1, absl::StrCat("em:", step)));
  curves.Add(2000, Of(2, "em:0"));
  const auto metrics = curves.Rows(-1, kNoEnd, 100)["metrics"];
  EXPECT_EQ(metrics.size(), Curves::kMaxNames);
  EXPECT_EQ(metrics["em:0"].back(), 2);
}

TEST(RunCurvesTest, EvaluationsAreThinnedApartFromTheSteps) {
  RunCurves curves(50);
  for (int step = 0; step < 400; ++step) {
    Metrics metrics = Of(1, "episode/em");
    if (step % 20 == 0) metrics.Set("evaluation/em", 0.5);
    curves.Add(step, metrics);
  }
  EXPECT_EQ(curves.evaluations().num_rows(), 20u);
  EXPECT_LE(curves.steps().num_rows(), 50u);
  EXPECT_FALSE(curves.steps().Rows(-1, kNoEnd, 100)["metrics"].contains("evaluation/em"));
}

}  // namespace
}  // namespace routewright
