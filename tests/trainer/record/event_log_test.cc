#include "trainer/record/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "proto/tensorboard.pb.h"
#include "tests/common/fault_file_system.h"
#include "tests/common/temp_folder.h"
#include "trainer/record/run_folder.h"

namespace routewright {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

FileSystem& Files() { return FileSystem::Posix(); }

// The events of a file, whose checksums event_record_test covers.
std::vector<tensorboard::Event> ReadEvents(const std::string& path) {
  const std::string bytes = Files().Read(path).value();
  std::vector<tensorboard::Event> events;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    events.emplace_back();
    EXPECT_TRUE(events.back().ParseFromString(bytes.substr(at + 12, length)));
    at += 16 + length;
  }
  return events;
}

std::vector<std::string> Tags(const tensorboard::Event& event) {
  std::vector<std::string> tags;
  for (const auto& value : event.summary().value()) tags.push_back(value.tag());
  return tags;
}

Trajectory Episode(Purpose purpose, EpisodeStatus status, double reward) {
  Trajectory trajectory;
  trajectory.set_purpose(purpose);
  trajectory.set_status(status);
  trajectory.set_reward(reward);
  for (auto who : {PROVENANCE_PROMPT, PROVENANCE_POLICY, PROVENANCE_POLICY}) {
    trajectory.add_provenance(who);
  }
  return trajectory;
}

TEST(EventLogTest, AStepIsOneEventWithFiniteMetricsHistogramsAndText) {
  const TempFolder temp;
  auto log = EventLog::Open(Files(), temp.path(), 3).value();
  Metrics metrics;
  metrics.Set("episode/em", 0.5);
  metrics.Set("policy/loss", std::numeric_limits<double>::quiet_NaN());
  const std::vector<Trajectory> trajectories = {
      Episode(PURPOSE_TRAIN, EPISODE_STATUS_ANSWERED, 1.0),
      Episode(PURPOSE_TRAIN, EPISODE_STATUS_POOL_FAILED, 9.0),
      Episode(PURPOSE_EVAL, EPISODE_STATUS_ANSWERED, 9.0)};
  ASSERT_TRUE(log.Write(3, metrics, {trajectories, "episode/trajectory", "round 1"}).ok());
  ASSERT_TRUE(log.Write(4, metrics, {}).ok());

  const auto names = Files().List(temp.path()).value();
  ASSERT_THAT(names, SizeIs(1));
  const auto events = ReadEvents(temp / names[0]);
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events[1].step(), 3);
  EXPECT_EQ(events[2].step(), 3);
  EXPECT_THAT(Tags(events[2]),
              ElementsAre("episode/em", "episode/reward_histogram",
                          "episode/policy_tokens_histogram", "episode/trajectory"));
  EXPECT_THAT(events[2].summary().value(1).tensor().double_val(), ElementsAre(0.5, 1.5, 1));
  EXPECT_THAT(events[2].summary().value(2).tensor().double_val(), ElementsAre(1.5, 2.5, 1));
  EXPECT_THAT(Tags(events[3]), ElementsAre("episode/em"));
  EXPECT_TRUE(events[2].summary().value(0).has_metadata());
  EXPECT_FALSE(events[3].summary().value(0).has_metadata()) << "once a file is enough";
}

TEST(EventLogTest, StepsThatAreMadeAgainAreTakenOutOfTheEarlierFiles) {
  const TempFolder temp;
  auto log = EventLog::Open(Files(), temp.path(), 0).value();
  Metrics metrics;
  metrics.Set("episode/em", 0.5);
  for (int64_t step : {0, 1, 2}) ASSERT_TRUE(log.Write(step, metrics, {}).ok());
  const std::string first = temp / Files().List(temp.path()).value()[0];
  const std::string whole = Files().Read(first).value();
  ASSERT_TRUE(WriteFileAtomically(Files(), first, whole + whole.substr(0, 30)).ok());  // torn
  ASSERT_TRUE(EventLog::Open(Files(), temp.path(), 1).ok());
  const auto events = ReadEvents(first);
  ASSERT_THAT(events, SizeIs(3));  // version, start, step 0
  EXPECT_EQ(events[2].step(), 0);
}

TEST(EventLogTest, NothingFromADamagedRecordOnIsKept) {
  const TempFolder temp;
  auto log = EventLog::Open(Files(), temp.path(), 0).value();
  for (int64_t step : {0, 1, 2}) ASSERT_TRUE(log.Write(step, Metrics(), {}).ok());
  const std::string first = temp / Files().List(temp.path()).value()[0];
  const std::string whole = Files().Read(first).value();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] ^= 1;
    ASSERT_TRUE(WriteFileAtomically(Files(), first, damaged).ok());
    ASSERT_TRUE(EventLog::Open(Files(), temp.path(), 9).ok()) << at;
    const std::string kept = Files().Read(first).value();
    ASSERT_LE(kept.size(), at);
    ASSERT_TRUE(whole.starts_with(kept));
  }
}

TEST(EventLogTest, EachStartHasAFileThatSortsAfterTheEarlierOnes) {
  const TempFolder temp;
  const std::string later = std::string(kEventFilePrefix) + "8000000000.host";  // a clock ahead
  ASSERT_TRUE(WriteFileAtomically(Files(), temp / later, "").ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(EventLog::Open(Files(), temp.path(), 0).ok());
  const auto names = Files().List(temp.path()).value();
  ASSERT_THAT(names, SizeIs(3));
  EXPECT_EQ(names[0], later);
  EXPECT_TRUE(names[1].starts_with(std::string(kEventFilePrefix) + "8000000001."));
  EXPECT_TRUE(names[2].starts_with(std::string(kEventFilePrefix) + "8000000002."));
}

TEST(EventLogTest, ARunThatStartsAnewPutsEventFilesAside) {
  const TempFolder temp;
  ASSERT_TRUE(EventLog::Open(Files(), temp.path(), 0).ok());
  ASSERT_TRUE(WriteFileAtomically(Files(), temp / "report.json", "{}").ok());  // of its evaluation
  ASSERT_TRUE(RunFolderFiles(Files(), temp.path()).PutAside().ok());
  EXPECT_THAT(Files().List(temp.path()).value(), ElementsAre("previous-1"));
  EXPECT_THAT(Files().List(temp / "previous-1").value(), SizeIs(2));
}

TEST(EventLogTest, AFullDiskIsReported) {
  const TempFolder temp;
  FaultFileSystem files;
  auto log = EventLog::Open(files, temp.path(), 0).value();
  files.At(1, Fault::kDiskFull);
  EXPECT_FALSE(log.Write(0, Metrics(), {}).ok());
}

}  // namespace
}  // namespace routewright
