#include "trainer/record/prometheus_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(PrometheusMetricsTest, ANameKeepsItsWordsAndEndsInItsBaseUnit) {
  EXPECT_EQ(PrometheusNameOf("episode/em").name, "routewright_episode_em");
  EXPECT_THAT(PrometheusNameOf("episode/em").labels, IsEmpty());
  EXPECT_EQ(PrometheusNameOf("step/time_s").name, "routewright_step_time_seconds");
  EXPECT_EQ(PrometheusNameOf("step/tokens_per_s").name, "routewright_step_tokens_per_second");
  const PrometheusName latency = PrometheusNameOf("pool/latency_mean_ms");
  EXPECT_EQ(latency.name, "routewright_pool_latency_mean_seconds");
  EXPECT_EQ(latency.scale, 1e-3);
}

TEST(PrometheusMetricsTest, WhatFollowsAColonIsTheModel) {
  const PrometheusName share = PrometheusNameOf("evaluation/share:A/b:c_s");
  EXPECT_EQ(share.name, "routewright_evaluation_share");
  EXPECT_THAT(share.labels, ElementsAre(Pair("model", "A/b:c_s")));
}

TEST(PrometheusMetricsTest, MetricsOfASourceHaveANameOfTheirOwn) {
  const PrometheusName source = PrometheusNameOf("episode/em:nq_open");
  EXPECT_EQ(source.name, "routewright_episode_em_by_source");
  EXPECT_THAT(source.labels, ElementsAre(Pair("source", "nq_open")));
}

TEST(PrometheusMetricsTest, NoGaugeEndsInCount) {
  EXPECT_EQ(PrometheusNameOf("episode/count").name, "routewright_episodes");
  EXPECT_EQ(PrometheusNameOf("evaluation/count").name, "routewright_evaluation_episodes");
  EXPECT_EQ(PrometheusNameOf("workers/count").name, "routewright_workers");
}

}  // namespace
}  // namespace routewright
