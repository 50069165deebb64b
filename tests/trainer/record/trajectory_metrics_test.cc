#include "trainer/record/trajectory_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace routewright {
namespace {

PoolConfig Pool() {
  PoolConfig pool;
  for (const char* name : {"Atlas", "Sage", "Parrot"}) pool.add_models()->set_name(name);
  return pool;
}

Trajectory Episode(Purpose purpose, double em, const std::vector<std::string>& calls) {
  Trajectory trajectory;
  trajectory.set_purpose(purpose);
  trajectory.set_status(EPISODE_STATUS_ANSWERED);
  trajectory.set_reward(em);
  trajectory.mutable_components()->set_em(em);
  trajectory.mutable_components()->set_cost_picousd(1000000 * static_cast<int64_t>(calls.size()));
  for (const std::string& model : calls) {
    PoolCall* call = trajectory.add_pool_calls();
    call->set_model(model);
    call->set_outcome(CALL_OUTCOME_OK);
  }
  return trajectory;
}

TEST(TrajectoryMetricsTest, MeansSharesAndMoney) {
  const std::vector<Trajectory> trajectories = {
      Episode(PURPOSE_TRAIN, 1.0, {"Atlas"}),
      Episode(PURPOSE_TRAIN, 0.0, {"Atlas", "Sage", "Sage"})};
  const Metrics metrics = TrajectoryMetrics(Pool(), trajectories);
  EXPECT_EQ(metrics.Get("episode/count"), 2);
  EXPECT_EQ(metrics.Get("episode/em"), 0.5);
  EXPECT_EQ(metrics.Get("episode/calls"), 2);
  EXPECT_DOUBLE_EQ(metrics.Get("episode/cost_usd_per_1k"), 0.002);
  EXPECT_EQ(metrics.Get("pool/share:Atlas"), 0.5);
  EXPECT_EQ(metrics.Get("pool/share:Parrot", -1), 0.0);
  EXPECT_DOUBLE_EQ(metrics.Get("pool/share_entropy_nats"), std::log(2.0));
  EXPECT_EQ(metrics.Get("evaluation/count", -1), -1);
}

TEST(TrajectoryMetricsTest, EpisodesWithoutAVerdictAreCountedApart) {
  std::vector<Trajectory> trajectories = {Episode(PURPOSE_TRAIN, 1.0, {}),
                                          Episode(PURPOSE_TRAIN, 0.0, {"Sage"})};
  trajectories[1].set_status(EPISODE_STATUS_POOL_FAILED);
  trajectories[1].mutable_pool_calls(0)->set_outcome(CALL_OUTCOME_TIMED_OUT);
  const Metrics metrics = TrajectoryMetrics(Pool(), trajectories);
  EXPECT_EQ(metrics.Get("episode/em"), 1.0);
  EXPECT_EQ(metrics.Get("episode/pool_failed"), 1);
  EXPECT_EQ(metrics.Get("pool/failed_calls"), 1);
}

TEST(TrajectoryMetricsTest, EvaluationHasMetricsOfItsOwn) {
  std::vector<Trajectory> trajectories = {Episode(PURPOSE_TRAIN, 1.0, {"Sage"}),
                                          Episode(PURPOSE_EVAL, 0.0, {"Atlas"}),
                                          Episode(PURPOSE_EVAL, 1.0, {"Atlas", "Sage"})};
  trajectories[2].mutable_question()->set_hops(2);
  const Metrics metrics = TrajectoryMetrics(Pool(), trajectories);
  EXPECT_EQ(metrics.Get("episode/em"), 1.0);
  EXPECT_EQ(metrics.Get("evaluation/em"), 0.5);
  EXPECT_EQ(metrics.Get("evaluation/em_two_hop"), 1.0);
  EXPECT_NEAR(metrics.Get("evaluation/share:Atlas"), 2.0 / 3, 1e-12);
}

TEST(TrajectoryMetricsTest, DataSourcesHaveMetricsOfTheirOwn) {
  std::vector<Trajectory> trajectories;
  for (int i = 0; i < 4; ++i) {
    trajectories.push_back(Episode(PURPOSE_TRAIN, i == 3 ? 1.0 : 0.0, {}));
    trajectories.back().mutable_components()->set_f1(0.5);
    trajectories.back().mutable_question()->set_data_source(i < 2 ? "nq" : "hotpot");
  }
  const Metrics two = TrajectoryMetrics(Pool(), trajectories);
  EXPECT_EQ(two.Get("episode/em:nq", -1), 0.0);
  EXPECT_EQ(two.Get("episode/em:hotpot", -1), 0.5);
  EXPECT_EQ(two.Get("episode/f1:hotpot", -1), 0.5);
  trajectories.resize(2);
  EXPECT_EQ(TrajectoryMetrics(Pool(), trajectories).Get("episode/em:nq", -1), -1)
      << "of one source there is nothing to tell apart";
  trajectories.resize(40, trajectories[0]);
  for (size_t i = 0; i < trajectories.size(); ++i) {
    trajectories[i].mutable_question()->set_data_source("source " + std::to_string(i));
  }
  EXPECT_EQ(TrajectoryMetrics(Pool(), trajectories).Get("episode/em:source 1", -1), -1)
      << "a source a question";
}

}  // namespace
}  // namespace routewright
