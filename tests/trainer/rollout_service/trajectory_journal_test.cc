#include "trainer/rollout_service/trajectory_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/experience/trajectories.h"

namespace routewright {
namespace {

using testing::MakeSpec;
using testing::MakeTrajectory;

JournalOrigin Origin(uint64_t config_digest = 42, int64_t policy_version = 4,
                     uint32_t weights_crc32c = 7) {
  JournalOrigin origin;
  origin.set_config_digest(config_digest);
  origin.set_policy_version(policy_version);
  origin.set_weights_crc32c(weights_crc32c);
  return origin;
}

class TrajectoryJournalTest : public ::testing::Test {
 protected:
  // What a new process finds.
  std::vector<std::string> Ids(const JournalOrigin& origin = Origin()) {
    TrajectoryJournal journal(FileSystem::Posix(), folder_);
    std::vector<std::string> ids;
    const std::vector<Trajectory> known = journal.OpenStep(3, origin).value();
    for (const Trajectory& trajectory : known) ids.push_back(trajectory.episode_id());
    return ids;
  }
  static std::vector<Trajectory> Make(int first, int count) {
    std::vector<Trajectory> trajectories;
    for (int i = first; i < first + count; ++i) {
      trajectories.push_back(MakeTrajectory(MakeSpec(absl::StrCat("e", i), /*step=*/3)));
    }
    return trajectories;
  }

  TempFolder temp_;
  const std::string folder_ = temp_.path() + "/journal";
  const std::string file_ = folder_ + "/step-000003.bin";
};

using ::testing::ElementsAre;

TEST_F(TrajectoryJournalTest, EveryLifeGoesOnWithWhatTheOnesBeforeWrote) {
  for (int life = 0; life < 3; ++life) {
    TrajectoryJournal journal(FileSystem::Posix(), folder_);
    const auto known = journal.OpenStep(3, Origin());
    ASSERT_TRUE(known.ok());
    EXPECT_EQ(known->size(), 2u * life);
    ASSERT_TRUE(journal.Append(Make(2 * life, 2)).ok());
  }
  EXPECT_THAT(Ids(), ElementsAre("e0", "e1", "e2", "e3", "e4", "e5"));
}

TEST_F(TrajectoryJournalTest, ACutAtAnyByteKeepsTheWholeRecordsAndTheNextLifeWritesAfterThem) {
  {
    TrajectoryJournal journal(FileSystem::Posix(), folder_);
    ASSERT_TRUE(journal.OpenStep(3, Origin()).ok());
    ASSERT_TRUE(journal.Append(Make(0, 2)).ok());
  }
  const std::string whole = FileSystem::Posix().Read(file_).value();
  const std::string copy = temp_.path() + "/copy";
  std::filesystem::copy_file(file_, copy);
  size_t found_two = 0, found_one = 0;
  for (size_t size = 0; size <= whole.size(); ++size) {
    std::filesystem::copy_file(copy, file_, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(file_, size);
    {
      TrajectoryJournal journal(FileSystem::Posix(), folder_);
      const size_t known = journal.OpenStep(3, Origin())->size();
      found_two += known == 2;
      found_one += known == 1;
      ASSERT_TRUE(journal.Append(Make(7, 1)).ok());
      ASSERT_EQ(Ids().size(), known + 1) << "cut at " << size;
    }
    ASSERT_EQ(Ids().back(), "e7");
  }
  EXPECT_EQ(found_two, 1u);
  EXPECT_GT(found_one, 10u);
}

TEST_F(TrajectoryJournalTest, AFlippedBitEndsWhatIsBelieved) {
  {
    TrajectoryJournal journal(FileSystem::Posix(), folder_);
    ASSERT_TRUE(journal.OpenStep(3, Origin()).ok());
    ASSERT_TRUE(journal.Append(Make(0, 3)).ok());
  }
  std::string bytes = FileSystem::Posix().Read(file_).value();
  bytes[bytes.size() - 5] ^= 4;  // in the last record
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), file_, bytes).ok());
  EXPECT_THAT(Ids(), ElementsAre("e0", "e1"));
}

TEST_F(TrajectoryJournalTest, OtherWeightsOtherVersionsAndOtherConfigsBeginAnew) {
  for (const JournalOrigin& other : {Origin(41), Origin(42, 5), Origin(42, 4, 8)}) {
    {
      TrajectoryJournal journal(FileSystem::Posix(), folder_);
      ASSERT_TRUE(journal.OpenStep(3, Origin()).ok());
      ASSERT_TRUE(journal.Append(Make(0, 1)).ok());
    }
    EXPECT_THAT(Ids(other), ElementsAre());
    EXPECT_THAT(Ids(), ElementsAre());  // its file was begun anew
  }
}

TEST_F(TrajectoryJournalTest, ForgetsTheStepsThatACheckpointHas) {
  TrajectoryJournal journal(FileSystem::Posix(), folder_);
  for (int64_t step : {3, 4, 12}) ASSERT_TRUE(journal.OpenStep(step, Origin()).ok());
  ASSERT_TRUE(journal.ForgetBefore(12).ok());
  EXPECT_THAT(FileSystem::Posix().List(folder_).value(), ElementsAre("step-000012.bin"));
  EXPECT_TRUE(journal.Append(Make(0, 1)).ok());  // the open one goes on
}

TEST_F(TrajectoryJournalTest, NothingIsWrittenBeforeAStepIsOpen) {
  TrajectoryJournal journal(FileSystem::Posix(), folder_);
  EXPECT_FALSE(journal.Append(Make(0, 1)).ok());
  EXPECT_TRUE(journal.Append({}).ok());
}

}  // namespace
}  // namespace routewright
