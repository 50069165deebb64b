#include "trainer/live_page/live_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/common/temp_folder.h"
#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

class LiveStateTest : public ::testing::Test {
 protected:
  void Record(int64_t step) {
    const auto trajectories = MadeUpTrajectories(*tokenizer_, config_, step, "Lima");
    state_.Record(step, MadeUpMetrics(config_, step, trajectories), trajectories, {});
  }
  Json Status() { return Json::parse(state_.StatusJson()); }
  Json Curves(int64_t since, int64_t generation) {
    return Json::parse(state_.CurvesJson(since, generation));
  }

  TempFolder temp_;
  const RunConfig config_ = MadeUpConfig(temp_.path());
  const std::unique_ptr<Tokenizer> tokenizer_ = MadeUpTokenizer();
  LiveState state_{config_, {{"host", "here"}}, tokenizer_.get()};
};

TEST_F(LiveStateTest, ShowsTheNewestStepAndTheNewestEvaluation) {
  EXPECT_EQ(Status()["state"], "starting");
  ASSERT_TRUE(state_.Begin(FileSystem::Posix(), temp_ / "metrics.jsonl", 0).ok());
  EXPECT_EQ(Status()["state"], "running");
  EXPECT_TRUE(Status()["newest"].is_null());
  EXPECT_TRUE(Status()["seconds_left"].is_null());
  for (int step = 0; step < 13; ++step) Record(step);
  const Json status = Status();
  EXPECT_EQ(status["steps_done"], 13);
  EXPECT_EQ(status["newest"]["step"], 12);
  EXPECT_EQ(status["evaluated"]["step"], 10);
  EXPECT_GT(status["seconds_left"].get<double>(), 987 * 3.0);
  EXPECT_EQ(status["pool"]["recent_steps"], 13);
}

TEST_F(LiveStateTest, AResumedRunHasTheCurvesOfTheStepsBefore) {
  auto log = MetricsLog::Open(FileSystem::Posix(), temp_ / "metrics.jsonl", 0);
  for (int step = 0; step < 20; ++step) {
    const auto trajectories = MadeUpTrajectories(*tokenizer_, config_, step, "Lima");
    ASSERT_TRUE(log->Write(step, MadeUpMetrics(config_, step, trajectories)).ok());
  }
  {
    auto file = FileSystem::Posix().OpenForAppend(temp_ / "metrics.jsonl");
    ASSERT_TRUE((*file)->Append("{\"step\":20,\"epis").ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  ASSERT_TRUE(state_.Begin(FileSystem::Posix(), temp_ / "metrics.jsonl", 15).ok());
  Record(15);
  const Json curves = Curves(-1, -1);
  EXPECT_EQ(curves["steps"]["steps"].size(), 16u);
  EXPECT_EQ(curves["evaluations"]["steps"].dump(), "[0,10]");
  EXPECT_EQ(Status()["newest"]["step"], 15);
}

TEST_F(LiveStateTest, AReaderIsToldToBeginAgainWhenTheCurvesWereThinned) {
  for (int step = 0; step < 1999; ++step) Record(step);
  Json curves = Curves(-1, -1);
  EXPECT_TRUE(curves["reset"]);
  EXPECT_EQ(curves["steps"]["steps"].size(), LiveState::kMaxRowsAtOnce);
  const int64_t generation = curves["generation"];
  EXPECT_FALSE(Curves(499, generation)["reset"]);
  EXPECT_EQ(Curves(499, generation)["steps"]["steps"][0], 500);
  EXPECT_LE(Curves(499, generation)["evaluations"]["steps"].back(), 999);
  Record(1999);
  Record(2000);
  curves = Curves(1998, generation);
  EXPECT_TRUE(curves["reset"]);
  EXPECT_EQ(curves["stride"], 2);
  EXPECT_EQ(curves["steps"]["steps"][1], 2);
}

TEST_F(LiveStateTest, KeepsTheGroupThatDiffersMostAndForgetsOldOnes) {
  for (int step = 0; step < 30; ++step) Record(step);
  const Json list = Json::parse(state_.TrajectoriesJson())["trajectories"];
  EXPECT_EQ(list.size(), LiveState::kMaxTrajectories);
  EXPECT_EQ(list[0]["step"], 29);
  EXPECT_EQ(list[0]["id"], "train/000029/0000/00");
  EXPECT_TRUE(state_.TrajectoryJson("train/000029/0000/00").has_value());
  EXPECT_FALSE(state_.TrajectoryJson("train/000000/0000/00").has_value());
  EXPECT_FALSE(state_.TrajectoryJson("../../etc/passwd").has_value());
}

TEST_F(LiveStateTest, LongTrajectoriesAreKeptInBoundedNumber) {
  const auto trajectories = MadeUpTrajectories(*tokenizer_, config_, 1, std::string(100'000, 'a'));
  state_.Record(1, {}, trajectories, {});
  const size_t kept = Json::parse(state_.TrajectoriesJson())["trajectories"].size();
  EXPECT_LE(kept, LiveState::kMaxKeptTokens / 100'000);
  EXPECT_GT(kept, 0u);
}

TEST_F(LiveStateTest, WorkersAreAskedForUntilTheyCannotBe) {
  state_.WatchWorkers([] { return MadeUpWorkers(1000, 5); });
  EXPECT_EQ(Json::parse(state_.WorkersJson("lag", 100'000))["rows"].size(),
            LiveState::kMaxWorkersAtOnce);
  state_.WatchWorkers({});
  EXPECT_EQ(Json::parse(state_.WorkersJson("lag", 10))["count"], 0);
}

TEST_F(LiveStateTest, TheEndIsWaitedForOnlyIfSomebodyWatches) {
  state_.End("finished", "");
  state_.WaitUntilSeen(absl::InfiniteDuration());  // nobody watches: returns
  Status();
  EXPECT_EQ(Status()["state"], "finished");
  state_.WaitUntilSeen(absl::InfiniteDuration());  // it has been seen: returns
}

TEST_F(LiveStateTest, AReaderThatWatchesHearsOfTheEnd) {
  Status();
  state_.End("failed", "the pool is gone");
  std::string heard;
  std::jthread reader([&] {
    heard = Status()["message"];
    Status();
  });
  state_.WaitUntilSeen(absl::InfiniteDuration());
  reader.join();
  EXPECT_EQ(heard, "the pool is gone");
}

TEST_F(LiveStateTest, ReadersAndTheLearnerDoNotMeet) {
  std::vector<std::jthread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        Status();
        Curves(-1, -1);
        state_.TrajectoriesJson();
        state_.WorkersJson("lag", 20);
      }
    });
  }
  for (int step = 0; step < 50; ++step) {
    Record(step);
    state_.WatchWorkers([step] { return MadeUpWorkers(100, step); });
  }
  readers.clear();
  EXPECT_EQ(Status()["newest"]["step"], 49);
}

}  // namespace
}  // namespace routewright
