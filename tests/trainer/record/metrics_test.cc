#include "trainer/record/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/common/temp_folder.h"
#include "trainer/record/progress.h"

namespace routewright {
namespace {

TEST(MetricsTest, ALineIsJsonWhoseNumbersReadBackToTheSameBits) {
  Metrics metrics;
  metrics.Set("episode/em", 0.1 + 0.2);
  metrics.Set("pool/share:A \"b\"", 1.0);
  metrics.Set("policy/loss", std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(MetricsToJson(12, metrics),
            "{\"step\":12,\"episode/em\":0.30000000000000004,\"pool/share:A "
            "\\\"b\\\"\":1,\"policy/loss\":null}");
}

TEST(MetricsLogTest, GoesOnAfterTheStepThatARunResumesFrom) {
  const TempFolder temp;
  const std::string path = temp / "metrics.jsonl";
  FileSystem& files = FileSystem::Posix();
  auto log = MetricsLog::Open(files, path, 0).value();
  for (int64_t step : {0, 1, 2, 3}) ASSERT_TRUE(log.Write(step, Metrics()).ok());
  std::ofstream(path, std::ios::app) << "{\"step\":4,\"to";
  ASSERT_TRUE(MetricsLog::Open(files, path, 2).value().Write(2, Metrics()).ok());
  EXPECT_EQ(files.Read(path).value(), "{\"step\":0}\n{\"step\":1}\n{\"step\":2}\n");
}

TEST(ProgressTest, AStepsSummarySaysWhatAPersonWantsToKnow) {
  Metrics metrics;
  metrics.Set("episode/count", 128);
  metrics.Set("episode/reward_mean", 0.614);
  metrics.Set("episode/em", 0.7);
  metrics.Set("episode/cost_usd_per_1k", 0.0031);
  metrics.Set("pool/share:Sage", 0.25);
  metrics.Set("pool/share:Atlas", 0.75);
  metrics.Set("pool/share:Parrot", 0.0);
  metrics.Set("step/tokens_per_s", 5234);
  EXPECT_EQ(StepSummary(11, 140, metrics, 200),
            "step 12/140 · 3m20s left · reward 0.61 · EM 0.70 · $0.0031/1k questions · Atlas 75% "
            "Sage 25% · "
            "5.2k tokens/s");
}

TEST(ProgressTest, WithoutATerminalItPrintsALineAStep) {
  std::FILE* out = std::tmpfile();
  {
    Progress progress(ProgressStyle::kLines, 3, out);
    progress.ShowCollecting(0, 1, 12, 0);
    Metrics metrics;
    metrics.Set("policy/loss", 0.5);
    metrics.Set("step/time_s", 2.0);
    progress.ShowStep(0, metrics);
  }
  std::rewind(out);
  char text[256] = {};
  const size_t size = std::fread(text, 1, sizeof(text) - 1, out);
  std::fclose(out);
  EXPECT_EQ(std::string(text, size), "step 1/3 · 4s left · loss 0.5000 · 0 tokens/s\n");
}

TEST(ProgressTest, DurationsAreShort) {
  EXPECT_EQ(FormatSeconds(11.6), "12s");
  EXPECT_EQ(FormatSeconds(200), "3m20s");
  EXPECT_EQ(FormatSeconds(7500), "2h05m");
}

TEST(MetricsRowTest, ComesBackAsItWasWritten) {
  Metrics metrics;
  metrics.Set("episode/em", 0.1);
  metrics.Set("pool/share:A\"b", 1.0 / 3);
  metrics.Set("policy/loss", std::nan(""));
  const auto row = ParseMetricsRow(MetricsToJson(12, metrics));
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->step, 12);
  ASSERT_EQ(row->metrics.values().size(), 3u);
  EXPECT_EQ(row->metrics.values()[0].first, "episode/em");
  EXPECT_EQ(row->metrics.Get("pool/share:A\"b"), 1.0 / 3);
  EXPECT_TRUE(std::isnan(row->metrics.Get("policy/loss")));
  for (const char* bad :
       {"", "{}", "[]", "{\"step\":-1}", "{\"step\":1.5}", "{\"step\":1,\"a\":\"x\"}",
        "{\"step\":1,\"a\":[1]}", "{\"step\":1,\"a\":2"}) {
    EXPECT_FALSE(ParseMetricsRow(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace routewright
