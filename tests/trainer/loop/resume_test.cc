// A checkpoint knows nothing of how many ranks wrote it, at which stage. Runs as several MPI ranks,
// of which the first n save and the first m go on.
#include "trainer/loop/resume.h"

#include <filesystem>
#include <optional>

#include "tests/common/temp_folder.h"
#include "tests/trainer/checkpoint/test_checkpoint.h"
#include "tests/trainer/update/sharded_learning.h"
#include "trainer/checkpoint/checkpoint_saver.h"
#include "trainer/update/host_copy.h"

namespace routewright {
namespace {

constexpr int kSavedAfter = 2;  // steps

// The first `count` ranks, as a communicator of their own; nullptr on the others.
std::unique_ptr<Communicator> FirstRanks(int count) {
  auto group = world->Split(absl::StrCat("first ", count), world->rank() < count ? 0 : 1).value();
  return world->rank() < count ? std::move(group) : nullptr;
}

// One folder for all ranks, with a run and its checkpoints.
class SharedRun {
 public:
  SharedRun() {
    std::string path = world->rank() == 0 ? temp_.emplace().path() : "";
    EXPECT_TRUE(BroadcastString(*world, "folder", path, /*root=*/0).ok());
    config_.mutable_run()->set_name("run");
    config_.mutable_run()->set_output_dir(path);
  }
  const RunConfig& config() const { return config_; }
  std::string checkpoints() const { return config_.run().output_dir() + "/run/checkpoints"; }
  std::string FolderOf(int64_t step) const {
    return CheckpointStore(FileSystem::Posix(), checkpoints(), {}).FolderOf(step);
  }

 private:
  std::optional<TempFolder> temp_;
  RunConfig config_;
};

// One way to learn, on the ranks of a group.
class Learner {
 public:
  Learner(const Variant& variant, Communicator* group) : variant_(variant) {
    UpdateOptions options = MakeUpdateOptions(variant, group->size());
    options.config.mutable_loss()->set_reference_refresh_steps(kSavedAfter);  // it is saved too
    groups_ = RankGroups::Make(group, options.config.sharding()).value();
    options.groups = groups_.get();
    update_.emplace(options);
    const TensorSource initial = TensorsOf(TinyModelWeights(options.model, 1));
    EXPECT_TRUE(update_->Initialize(group->rank() == 0 ? &initial : nullptr).ok());
  }
  std::vector<double> Losses(int first_step, int count) {
    std::vector<double> losses;
    for (int step = first_step; step < first_step + count; ++step) {
      const auto metrics = update_->Run(BatchOfStep(variant_, step), step, 0.05).value();
      losses.push_back(metrics.policy.loss);
      losses.push_back(metrics.value_loss);
    }
    return losses;
  }
  void Save(const SharedRun& run, int64_t step) {
    const Communicator& group = groups_->world();
    HostCopy copy(HostCopy::Mode::kCopy);
    CheckpointSaver saver({.files = &FileSystem::Posix(),
                           .folder = run.checkpoints(),
                           .model = Model(variant_),
                           .rank = group.rank(),
                           .num_ranks = group.size()});
    std::optional<CheckpointTexts> texts;
    if (group.rank() == 0) {
      texts = MakeTexts({.step = step, .num_ranks = group.size(), .model = Model(variant_)});
      EXPECT_TRUE(saver.Prepare(step, update_->SavedModels()).ok());
    }
    EXPECT_TRUE(groups_->world().Barrier("prepared")->Wait().ok());
    EXPECT_TRUE(saver.Start(step, update_->Share(copy), texts).ok());
    EXPECT_TRUE(saver.Wait().ok());
    EXPECT_TRUE(groups_->world().Barrier("saved")->Wait().ok());
  }
  absl::Status Restore(const SharedRun& run, const std::string& resume) {
    auto reader = OpenCheckpoint(FileSystem::Posix(), groups_->world(), run.config(), {resume, ""});
    if (!reader.ok()) return reader.status();
    if (*reader == nullptr) return absl::NotFoundError("nothing to resume from");
    return update_->Restore(**reader);
  }
  std::shared_ptr<const PolicyWeights> Export() { return update_->ExportPolicy().value(); }

 private:
  const Variant variant_;
  std::unique_ptr<RankGroups> groups_;
  std::optional<PolicyUpdate> update_;
};

double WorstError(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0.0;
  for (size_t i = 0; i < b.size(); ++i) {  // losses are means of terms near 1
    worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(std::abs(b[i]), 1.0));
  }
  return worst;
}

TEST(ResumeTest, AnyNumberOfRanksAtAnyStageGoesOnFromAnyOther) {
  double worst = 0.0;
  int loads = 0;
  for (int n = 1; n <= world->size(); ++n) {
    const auto writers = FirstRanks(n);
    for (size_t s = 0; s < std::size(kStages); ++s) {
      Variant variant{.stage = kStages[s]};
      if (n % 2 == 0) variant.algorithm = TrainerConfig::ALGORITHM_PPO;
      const SharedRun run;
      std::shared_ptr<const PolicyWeights> saved;
      std::vector<double> expected;
      if (writers != nullptr) {
        Learner writer(variant, writers.get());
        writer.Losses(0, kSavedAfter);
        writer.Save(run, kSavedAfter);
        saved = writer.Export();
        expected = writer.Losses(kSavedAfter, 5);
      }
      ASSERT_TRUE(world->Barrier("written")->Wait().ok());
      for (int m = 1; m <= world->size(); ++m) {
        const auto readers = FirstRanks(m);
        if (readers == nullptr) continue;
        const bool is_same = n == m;
        variant.stage = is_same ? kStages[s] : kStages[(s + m) % std::size(kStages)];
        Learner reader(variant, readers.get());
        const absl::Status restored = reader.Restore(run, run.FolderOf(kSavedAfter));
        ASSERT_TRUE(restored.ok()) << restored;
        const auto loaded = reader.Export();
        const std::vector<double> losses = reader.Losses(kSavedAfter, 5);
        if (world->rank() != 0) continue;  // it alone has what is compared
        EXPECT_EQ(Distance(*loaded, *saved), 0.0) << n << " to " << m;
        EXPECT_TRUE(!is_same || losses == expected) << Name(variant);
        worst = std::max(worst, WorstError(losses, expected));
        ++loads;
      }
      ASSERT_TRUE(world->Barrier("read")->Wait().ok());
    }
  }
  EXPECT_LE(worst, 1e-6);
  if (world->rank() == 0) std::printf("%d loads: the next 5 losses within %.1e\n", loads, worst);
}

TEST(ResumeTest, EveryRankTakesTheCheckpointBeforeOneThatIsDamagedForOneOfThem) {
  const Variant variant{.stage = ShardingConfig::STAGE_FULL};
  const SharedRun run;
  Learner learner(variant, world);
  learner.Losses(0, 1);
  learner.Save(run, 1);
  const auto first = learner.Export();
  learner.Losses(1, 1);
  learner.Save(run, 2);
  const std::string last =
      TensorFileName("policy", StateKind::kFirstMoments, world->size() - 1, world->size());
  if (world->rank() == 0) FlipBit(absl::StrCat(run.FolderOf(2), "/", last), 8 * 4000 + 1);
  ASSERT_TRUE(world->Barrier("damaged")->Wait().ok());
  // By name it is refused, on every rank, with what the rank that checked it found.
  const absl::Status refused = learner.Restore(run, run.FolderOf(2));
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_NE(std::string(refused.message()).find(last), std::string::npos) << refused;
  ASSERT_TRUE(learner.Restore(run, "auto").ok());
  const auto restored = learner.Export();
  EXPECT_TRUE(restored == nullptr || Distance(*restored, *first) == 0.0);
  EXPECT_TRUE(std::filesystem::exists(run.checkpoints() + "/damaged-step-000002"));
}

TEST(ResumeTest, WithoutACheckpointAllStartAnewAndWithoutAGoodOneNoneDoes) {
  const SharedRun run;
  Learner learner({}, world);
  EXPECT_TRUE(absl::IsNotFound(learner.Restore(run, "auto")));
  EXPECT_TRUE(absl::IsNotFound(learner.Restore(run, run.FolderOf(7))));
  if (world->rank() == 0) std::filesystem::create_directories(run.FolderOf(3));
  ASSERT_TRUE(world->Barrier("made")->Wait().ok());
  const absl::Status status = learner.Restore(run, "auto");
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(std::string(status.message()).find("--resume none"), std::string::npos) << status;
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) { return routewright::RunTestsOnRanks(argc, argv); }
