#include "rollout_workers/episode/episode_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/generator/scripted_generator.h"
#include "tests/rollout_workers/pool/fake_pool.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kSearch[] = "<think>who</think><search>Atlas: q</search>";
constexpr char kAnswer[] = "<think>so</think><answer>Lima</answer>";

// Episodes named "call…" search once, then answer; all others answer at once.
std::string CallThenAnswer(const RoundRequest& request) {
  return request.episode_id.rfind("call", 0) == 0 && request.round == 0 ? kSearch : kAnswer;
}

class EpisodeRunnerTest : public testing::Test {
 protected:
  EpisodeRunnerTest()
      : generator_(CallThenAnswer),
        pool_([](const PoolRequest&) { return FakePool::Reply("It is Lima."); }),
        runner_(&world_.context, &generator_, &pool_) {}

  void Add(const std::string& id, int attempt = 1) {
    const absl::Status status = runner_.Add(world_.Spec(id), attempt);
    ASSERT_TRUE(status.ok()) << status;
  }
  // Steps until `count` trajectories came out, or nothing can come any more.
  std::vector<Trajectory> Run(size_t count) {
    std::vector<Trajectory> all;
    for (int i = 0; i < 10000 && all.size() < count; ++i) {
      auto some = runner_.Step(absl::ZeroDuration());
      EXPECT_TRUE(some.ok()) << some.status();
      if (!some.ok()) break;
      for (Trajectory& trajectory : *some) all.push_back(std::move(trajectory));
    }
    return all;
  }
  static std::vector<std::string> Ids(const std::vector<Trajectory>& trajectories) {
    std::vector<std::string> ids;
    for (const Trajectory& trajectory : trajectories) ids.push_back(trajectory.episode_id());
    return ids;
  }

  EpisodeWorld world_;
  ScriptedGenerator generator_;
  FakePool pool_;
  EpisodeRunner runner_;
};

TEST_F(EpisodeRunnerTest, RunsEpisodesToTheirTrajectories) {
  Add("call/a");
  Add("direct/b");
  const std::vector<Trajectory> all = Run(2);
  EXPECT_THAT(Ids(all), ElementsAre("direct/b", "call/a"));
  for (const Trajectory& trajectory : all) {
    EXPECT_EQ(trajectory.status(), EPISODE_STATUS_ANSWERED);
    EXPECT_EQ(trajectory.components().em(), 1);
  }
  EXPECT_EQ(runner_.num_running(), 0);
  EXPECT_THAT(generator_.ended, UnorderedElementsAre("call/a", "direct/b"));
}

TEST_F(EpisodeRunnerTest, ATracedEpisodeSaysWhereItsTimeWent) {
  EpisodeSpec spec = world_.Spec("call/a");
  spec.set_is_traced(true);
  const absl::Time leased = absl::Now() - absl::Seconds(2);
  ASSERT_TRUE(runner_.Add(spec, 1, leased).ok());
  Add("direct/b");
  std::vector<std::string> names;
  for (const Trajectory& trajectory : Run(2)) {
    EXPECT_EQ(trajectory.has_trace(), trajectory.episode_id() == "call/a");
    if (!trajectory.has_trace()) continue;
    EXPECT_EQ(trajectory.trace().start_us(), absl::ToUnixMicros(leased));
    const int64_t end = trajectory.trace().start_us() + trajectory.trace().duration_us();
    for (const TraceSpan& span : trajectory.trace().spans()) {
      names.push_back(span.name());
      EXPECT_GE(span.start_us(), trajectory.trace().start_us()) << span.name();
      EXPECT_GE(span.duration_us(), 0) << span.name();
      EXPECT_LE(span.start_us() + span.duration_us(), end) << span.name();
    }
    EXPECT_GE(trajectory.trace().spans(0).duration_us(), 2'000'000);
  }
  EXPECT_THAT(names, ElementsAre("wait for weights", "round 0", "prefill", "decode", "call Atlas",
                                 "round 1", "prefill", "decode"));
  ASSERT_THAT(pool_.requests(), SizeIs(1));
  EXPECT_TRUE(pool_.requests()[0].is_traced);
}

TEST_F(EpisodeRunnerTest, ACancelledEpisodeHasItsTraceToo) {
  EpisodeSpec spec = world_.Spec("call/a");
  spec.set_is_traced(true);
  ASSERT_TRUE(runner_.Add(spec, 1).ok());
  EXPECT_TRUE(runner_.Cancel("call/a")->has_trace());
}

TEST_F(EpisodeRunnerTest, NoEpisodeWaitsForAnothersPoolCall) {
  pool_.Hold();
  for (int i = 0; i < 3; ++i) Add("call/" + std::to_string(i));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  EXPECT_THAT(pool_.requests(), SizeIs(3));
  Add("direct/x");
  EXPECT_THAT(Ids(Run(1)), ElementsAre("direct/x"));
  EXPECT_TRUE(pool_.Finish("call/1/1/0"));
  EXPECT_THAT(Ids(Run(1)), ElementsAre("call/1"));
  EXPECT_THAT(runner_.RunningIds(), ElementsAre("call/0", "call/2"));
}

TEST_F(EpisodeRunnerTest, RoundsOfAllEpisodesShareTheBatch) {
  for (int i = 0; i < 8; ++i) Add("direct/" + std::to_string(i));
  EXPECT_THAT(Run(8), SizeIs(8));
  EXPECT_EQ(generator_.max_batch, 8u);
}

TEST_F(EpisodeRunnerTest, AnEpisodeMayJoinWhileOthersRun) {
  Add("call/a");
  ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  Add("direct/b");
  EXPECT_THAT(Run(2), SizeIs(2));
}

TEST_F(EpisodeRunnerTest, APoolFailureIsReportedAndTheOthersGoOn) {
  FakePool failing([](const PoolRequest&) { return FakePool::Failure(CALL_OUTCOME_UNAVAILABLE); });
  EpisodeRunner runner(&world_.context, &generator_, &failing);
  ASSERT_TRUE(runner.Add(world_.Spec("call/a"), 1).ok());
  ASSERT_TRUE(runner.Add(world_.Spec("direct/b"), 1).ok());
  std::map<std::string, EpisodeStatus> ends;
  for (int i = 0; i < 1000 && ends.size() < 2; ++i) {
    const auto some = runner.Step(absl::ZeroDuration());
    ASSERT_TRUE(some.ok()) << some.status();
    for (const Trajectory& trajectory : *some) {
      ends[trajectory.episode_id()] = trajectory.status();
    }
  }
  EXPECT_EQ(ends["call/a"], EPISODE_STATUS_POOL_FAILED);
  EXPECT_EQ(ends["direct/b"], EPISODE_STATUS_ANSWERED);
}

TEST_F(EpisodeRunnerTest, AnIdRunsOnceAtATime) {
  Add("call/a");
  EXPECT_EQ(runner_.Add(world_.Spec("call/a"), 2).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Run(1), SizeIs(1));
  Add("call/a", 2);
  EXPECT_THAT(Run(1), SizeIs(1));
}

TEST_F(EpisodeRunnerTest, AForcedModelMustBeListed) {
  EpisodeSpec spec = world_.Spec("a");
  spec.set_forced_model("Nobody");
  EXPECT_EQ(runner_.Add(spec, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runner_.num_running(), 0);
}

TEST_F(EpisodeRunnerTest, CancellingEndsARoundAtOnce) {
  Add("direct/a");
  ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  const std::optional<Trajectory> trajectory = runner_.Cancel("direct/a");
  ASSERT_TRUE(trajectory.has_value());
  EXPECT_EQ(trajectory->status(), EPISODE_STATUS_CANCELLED);
  EXPECT_TRUE(generator_.is_idle());
  EXPECT_EQ(runner_.num_running(), 0);
  EXPECT_FALSE(runner_.Cancel("direct/a").has_value());
}

TEST_F(EpisodeRunnerTest, CancellingAWaitingEpisodeCancelsItsCall) {
  pool_.Hold();
  Add("call/a");
  while (pool_.requests().empty()) ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  EXPECT_TRUE(runner_.Cancel("call/a").has_value());
  EXPECT_FALSE(pool_.Finish("call/a/1/0"));  // not held any more
  const auto after = runner_.Step(absl::ZeroDuration());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(*after, SizeIs(0));
}

TEST_F(EpisodeRunnerTest, AnEpisodeThatComesAgainWaitsForItsCancelledCallToEnd) {
  pool_.Hold();
  Add("call/a");
  while (pool_.requests().empty()) ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  runner_.Cancel("call/a");
  Add("call/a");  // the same attempt, so the same call id, before the cancelled call has come out
  while (pool_.requests().size() < 2) ASSERT_TRUE(runner_.Step(absl::ZeroDuration()).ok());
  EXPECT_TRUE(pool_.Finish("call/a/1/0"));
  const std::vector<Trajectory> all = Run(1);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].status(), EPISODE_STATUS_ANSWERED);
}

TEST_F(EpisodeRunnerTest, ASequenceThatThePolicyHasNoRoomForOverflows) {
  generator_.start_status = absl::OutOfRangeError("max_positions");
  Add("direct/a");
  const std::vector<Trajectory> all = Run(1);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].status(), EPISODE_STATUS_OVERFLOW);
}

TEST_F(EpisodeRunnerTest, AGeneratorThatFailsStopsTheRunner) {
  Add("direct/a");
  generator_.step_status = absl::InternalError("broken");
  EXPECT_EQ(runner_.Step(absl::ZeroDuration()).status().message(), "broken");
}

TEST_F(EpisodeRunnerTest, ALedgerThatCannotBeWrittenStopsTheRunner) {
  Add("call/a");
  pool_.Break(absl::DataLossError("disk full"));
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i)
    status = runner_.Step(absl::ZeroDuration()).status();
  EXPECT_EQ(status.message(), "disk full");
}

TEST_F(EpisodeRunnerTest, WakeEndsAWaitingStep) {
  std::jthread waker([this] { runner_.Wake(); });
  const auto none = runner_.Step(absl::InfiniteDuration());
  ASSERT_TRUE(none.ok());
  EXPECT_THAT(*none, SizeIs(0));
}

TEST_F(EpisodeRunnerTest, WhatAnEpisodeBecomesDoesNotDependOnTheOthers) {
  const auto record = [&](const std::vector<std::string>& ids) {
    for (const std::string& id : ids) Add(id);
    std::map<std::string, std::string> records;
    for (Trajectory& trajectory : Run(ids.size())) {
      trajectory.clear_generate_ms();
      records[trajectory.episode_id()] = trajectory.SerializeAsString();
    }
    return records;
  };
  const auto together = record({"call/a", "direct/b", "call/c"});
  EXPECT_EQ(record({"call/a"})["call/a"], together.at("call/a"));
  EXPECT_EQ(record({"call/c", "direct/b"})["call/c"], together.at("call/c"));
}

}  // namespace
}  // namespace routewright
