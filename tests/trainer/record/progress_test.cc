#include "trainer/record/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace routewright {
namespace {

using ::testing::HasSubstr;

class ProgressTest : public ::testing::Test {
 protected:
  ~ProgressTest() override {
    std::fclose(out_);
    std::free(text_);
  }
  std::string Written() {
    std::fflush(out_);
    return std::string(text_, size_);
  }

  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* out_ = open_memstream(&text_, &size_);
  ManualClock clock_;
  Progress lines_{ProgressStyle::kLines, 5, out_, &clock_};
};

TEST_F(ProgressTest, LinesSayOnceThatNoWorkerIsThere) {
  for (int second = 0; second < 10; ++second) {
    lines_.ShowCollecting(2, 3, 12, /*num_workers=*/0);
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(Written(), "");
  const std::string news = "step 3/5 · 3/12 episodes · no worker for 10s: waiting for one\n";
  for (int second = 0; second < 60; ++second) {
    lines_.ShowCollecting(2, 3, 12, /*num_workers=*/0);
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(Written(), news);
  lines_.ShowCollecting(2, 3, 12, /*num_workers=*/1);
  clock_.Advance(absl::Seconds(9));
  lines_.ShowCollecting(2, 3, 12, /*num_workers=*/0);
  EXPECT_EQ(Written(), news);
  clock_.Advance(absl::Seconds(1));
  lines_.ShowCollecting(2, 3, 12, /*num_workers=*/0);
  EXPECT_EQ(Written(), news + news);
}

TEST_F(ProgressTest, TheTimeOfAnUpdateIsNotTakenForAbsence) {
  lines_.ShowCollecting(0, 12, 12, /*num_workers=*/2);
  clock_.Advance(absl::Minutes(5));  // no episodes are collected
  lines_.ShowStep(0, Metrics());
  const std::string before = Written();
  lines_.ShowCollecting(1, 0, 12, /*num_workers=*/0);
  EXPECT_EQ(Written(), before);
}

TEST_F(ProgressTest, TheLastEvaluationHasALineOfItsOwn) {
  Metrics metrics;
  lines_.ShowEvaluation(metrics);
  EXPECT_EQ(Written(), "");
  metrics.Set("evaluation/count", 8);
  metrics.Set("evaluation/em", 0.75);
  metrics.Set("evaluation/cost_usd_per_1k", 0.004);
  lines_.ShowEvaluation(metrics);
  EXPECT_EQ(Written(), "step 5/5 · held-out EM 0.75 at $0.004/1k\n");
}

TEST_F(ProgressTest, ABarKeepsToOneLine) {
  Progress bar(ProgressStyle::kBar, 5, out_, &clock_);
  bar.ShowCollecting(0, 0, 12, /*num_workers=*/0);
  EXPECT_THAT(Written(), HasSubstr("waiting for a worker"));
  bar.ShowCollecting(0, 1, 12, /*num_workers=*/1);
  EXPECT_THAT(Written(), HasSubstr("1/12 episodes, 1 worker\x1b[K"));
  EXPECT_EQ(Written().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace routewright
