#include "trainer/checkpoint/checkpoint_saver.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {

CheckpointSaver::CheckpointSaver(Options options)
    : options_(std::move(options)), store_(*options_.files, options_.folder, options_.config) {}

CheckpointSaver::~CheckpointSaver() { GiveUp(); }

absl::Status CheckpointSaver::Prepare(int64_t step, const std::vector<std::string>& models) {
  const std::string aside = store_.FolderAside(step);
  RW_RETURN_IF_ERROR(options_.files->RemoveAll(aside));
  return MakeCheckpointFolders(*options_.files, aside, models);
}

absl::Status CheckpointSaver::Start(int64_t step, StateShare state,
                                    std::optional<CheckpointTexts> texts) {
  RW_RETURN_IF_ERROR(Wait());
  step_ = step;
  Enter(Phase::kWriting);
  thread_ = std::jthread([this, step, state = std::move(state), texts = std::move(texts)] {
    absl::Status status = SaveOrExplain(step, state, texts);
    const absl::MutexLock lock(&mutex_);
    status_ = std::move(status);
    phase_ = Phase::kIdle;
  });
  return absl::OkStatus();
}

absl::Status CheckpointSaver::SaveOrExplain(int64_t step, const StateShare& state,
                                            const std::optional<CheckpointTexts>& texts) {
  absl::Status status;
  try {
    status = Save(step, state, texts);
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  if (status.ok()) return status;
  if (options_.rank == 0) {  // the first failure is the one to report
    options_.files->RemoveAll(store_.FolderAside(step)).IgnoreError();
  }
  return absl::Status(status.code(),
                      absl::StrCat("the checkpoint of step ", step,
                                   " was not saved: ", std::string(status.message())));
}

absl::Status CheckpointSaver::Save(int64_t step, const StateShare& state,
                                   const std::optional<CheckpointTexts>& texts) {
  const absl::Time start = absl::Now();
  FileSystem& files = *options_.files;
  const std::string aside = store_.FolderAside(step);
  const auto is_given_up = [this] { return is_given_up_.load(); };
  RW_RETURN_IF_ERROR(WriteRankFiles(files, aside, options_.model, state, options_.rank,
                                    options_.num_ranks, is_given_up));
  Enter(Phase::kCommitting);
  if (!texts.has_value()) return absl::OkStatus();
  RW_RETURN_IF_ERROR(FinishCheckpointFolder(
      files, aside, *texts, absl::Seconds(options_.config.write_deadline_s()), is_given_up));
  RW_RETURN_IF_ERROR(store_.Commit(step));
  const absl::Duration write_time = absl::Now() - start;
  {
    const absl::MutexLock lock(&mutex_);
    write_time_ = write_time;
  }
  LogInfo("step=", step, " write_s=", absl::ToDoubleSeconds(write_time), " | saved ",
          store_.FolderOf(step));
  return store_.Prune(texts->manifest.learner());
}

absl::Status CheckpointSaver::Wait() {
  if (thread_.joinable()) thread_.join();
  return status();
}

absl::Status CheckpointSaver::WaitForFiles() {
  const absl::MutexLock lock(&mutex_);
  const auto are_written = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return phase_ != Phase::kWriting;
  };
  mutex_.Await(absl::Condition(&are_written));
  return status_;
}

void CheckpointSaver::WaitForCommit(absl::Duration limit) {
  const absl::Time end = absl::Now() + limit;
  const auto is_under_way = [this] {
    return !IsIdle() || (step_ >= 0 && options_.files->Exists(store_.FolderAside(step_)));
  };
  while (absl::Now() < end && status().ok() && is_under_way()) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  GiveUp();
}

bool CheckpointSaver::IsIdle() const {
  const absl::MutexLock lock(&mutex_);
  return phase_ == Phase::kIdle;
}

absl::Status CheckpointSaver::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

std::optional<absl::Duration> CheckpointSaver::TakeWriteTime() {
  const absl::MutexLock lock(&mutex_);
  return std::exchange(write_time_, std::nullopt);
}

void CheckpointSaver::Enter(Phase phase) {
  const absl::MutexLock lock(&mutex_);
  phase_ = phase;
}

}  // namespace routewright
