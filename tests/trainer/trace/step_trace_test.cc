#include "trainer/trace/step_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/trace.h"
#include "tests/trainer/trace/shown_spans.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::ordered_json;

TraceSpan Span(const std::string& track, const std::string& name, int64_t start_us,
               int64_t duration_us) {
  TraceSpan span;
  span.set_track(track);
  span.set_name(name);
  span.set_start_us(start_us);
  span.set_duration_us(duration_us);
  return span;
}

Trajectory TracedTrajectory(const std::string& id, int64_t offset_us, int64_t start_us,
                            int64_t duration_us) {
  Trajectory trajectory;
  trajectory.set_episode_id(id);
  trajectory.set_worker_id("w");
  trajectory.set_status(EPISODE_STATUS_ANSWERED);
  trajectory.mutable_trace()->set_clock_offset_us(offset_us);
  trajectory.mutable_trace()->set_start_us(start_us);
  trajectory.mutable_trace()->set_duration_us(duration_us);
  return trajectory;
}

TEST(StepTraceTest, EveryProcessIsShownByTheClockOfRank0) {
  RankTrace first, second;
  first.set_host("a");
  *first.add_spans() = Span(kTrainingTrack, "forward", 2000, 10);  // inner ones ended first
  *first.add_spans() = Span(kTrainingTrack, "update", 2000, 50);
  *first.add_spans() = Span("collective", "gather/1", 2005, 10);
  *first.add_spans() = Span("collective", "gather/2", 2010, 10);
  second.set_rank(1);
  second.set_host("b");
  second.set_clock_offset_us(-500);
  *second.add_spans() = Span(kTrainingTrack, "update", 2502, 40);

  Trajectory trajectory = TracedTrajectory("train/0/0/0", 300, 700, 400);
  *trajectory.mutable_trace()->add_spans() = Span("", "round 0", 710, 50);
  PoolCall& call = *trajectory.add_pool_calls();
  call.set_model("Sage");
  *call.mutable_trace()->add_spans() = Span("", "queued", 760, 5);
  *call.mutable_trace()->add_spans() = Span("", "attempt 1: HTTP 200", 765, 100);
  trajectory.add_pool_calls()->set_model("Atlas");  // never sent

  const RankTrace ranks[] = {first, second};
  const Trajectory trajectories[] = {trajectory};
  const Json json = Json::parse(StepTraceToJson({.run_name = "r",
                                                 .step = 7,
                                                 .begin_us = 1000,
                                                 .end_us = 2100,
                                                 .ranks = ranks,
                                                 .trajectories = trajectories}));
  EXPECT_THAT(
      ShownSpans(json),
      ElementsAre("rank 0 on a/training/update 1000+50", "rank 0 on a/training/forward 1000+10",
                  "rank 0 on a/collective 1/gather/1 1005+10",
                  "rank 0 on a/collective 2/gather/2 1010+10",
                  "rank 1 on b/training/update 1002+40", "worker w/episode 1/train/0/0/0 0+400",
                  "worker w/episode 1/round 0 10+50", "pool/Sage 1/train/0/0/0 60+105",
                  "pool/Sage 1/queued 60+5", "pool/Sage 1/attempt 1: HTTP 200 65+100"));
  EXPECT_EQ(json["otherData"]["step"], 7);
  EXPECT_EQ(json["otherData"]["episodes_left_out"], 0);
}

TEST(StepTraceTest, EpisodesOfBeforeTheStepAreCountedAndLeftOut) {
  const Trajectory trajectories[] = {TracedTrajectory("replayed", 0, 100, 200), Trajectory(),
                                     TracedTrajectory("this one", 0, 1000, 10)};
  const Json json = Json::parse(StepTraceToJson({.run_name = "r",
                                                 .step = 1,
                                                 .begin_us = 1000,
                                                 .end_us = 2000,
                                                 .ranks = {},
                                                 .trajectories = trajectories}));
  EXPECT_THAT(ShownSpans(json), ElementsAre("worker w/episode 1/this one 0+10"));
  EXPECT_EQ(json["otherData"]["episodes_left_out"], 2);
}

}  // namespace
}  // namespace routewright
