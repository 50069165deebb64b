#include "trainer/live_page/pool_table.h"

#include <gtest/gtest.h>

#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

Trajectory WithCall(const std::string& model, CallOutcome outcome, double latency_ms) {
  Trajectory trajectory;
  PoolCall& call = *trajectory.add_pool_calls();
  call.set_model(model);
  call.set_outcome(outcome);
  call.set_latency_ms(latency_ms);
  call.set_cost_picousd(2'000'000);
  call.set_input_tokens(10);
  call.set_output_tokens(3);
  return trajectory;
}

TEST(PoolTableTest, CallsFailuresAndCostAreCountedPerModel) {
  PoolTable table(MadeUpConfig("out").pool());
  table.AddStep(std::vector<Trajectory>{
      WithCall("Model0", CALL_OUTCOME_OK, 100), WithCall("Model0", CALL_OUTCOME_TIMED_OUT, 300),
      WithCall("Model1", CALL_OUTCOME_REFUSED, 50), WithCall("nobody", CALL_OUTCOME_OK, 1)});
  const auto models = table.ToJson()["models"];
  ASSERT_EQ(models.size(), 4u);
  const auto& total = models[0]["total"];
  EXPECT_EQ(total["calls"], 2);
  EXPECT_EQ(total["failed"], 1);
  EXPECT_EQ(total["input_tokens"], 20);
  EXPECT_DOUBLE_EQ(total["cost_usd"], 4e-6);
  EXPECT_DOUBLE_EQ(total["latency_mean_ms"], 200);
  EXPECT_EQ(total["outcomes"].dump(), R"({"ok":1,"timed_out":1})");
  EXPECT_EQ(models[1]["total"]["failed"], 0) << "a refusal is a reply";
  EXPECT_EQ(models[2]["total"]["calls"], 0);
  EXPECT_FALSE(models[2]["total"].contains("latency_p95_ms"));
}

TEST(PoolTableTest, PercentilesAreRightToATenth) {
  PoolTable table(MadeUpConfig("out").pool());
  std::vector<Trajectory> trajectories;
  for (int ms = 1; ms <= 1000; ++ms) {
    trajectories.push_back(WithCall("Model0", CALL_OUTCOME_OK, ms));
  }
  table.AddStep(trajectories);
  const auto total = table.ToJson()["models"][0]["total"];
  EXPECT_NEAR(total["latency_p50_ms"].get<double>(), 500, 50);
  EXPECT_NEAR(total["latency_p95_ms"].get<double>(), 950, 95);
}

TEST(PoolTableTest, TheLastStepsAreCountedApart) {
  PoolTable table(MadeUpConfig("out").pool());
  for (size_t step = 0; step < PoolTable::kRecentSteps + 5; ++step) {
    const CallOutcome outcome = step < 5 ? CALL_OUTCOME_UNAVAILABLE : CALL_OUTCOME_OK;
    table.AddStep(std::vector<Trajectory>{WithCall("Model1", outcome, 10)});
  }
  const auto model = table.ToJson()["models"][1];
  EXPECT_EQ(model["total"]["failed"], 5);
  EXPECT_EQ(model["recent"]["failed"], 0);
  EXPECT_EQ(model["recent"]["calls"], PoolTable::kRecentSteps);
}

}  // namespace
}  // namespace routewright
