// Saves checkpoints beside the training: every rank has one, whose thread writes that rank's files
// while the next step is made; rank 0's then waits for the others' parts and commits. One save at a
// time: the next one waits for it.
//
//   training   … step ─▶ Start (copy done) ─▶ step ─▶ step ─▶ Start …
//   thread                  └─▶ files, synced ─▶ part ─▶ (rank 0: all parts ─▶ manifest ─▶ rename)
//
// One caller's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file_system.h"
#include "policy/model/model_config.h"
#include "proto/config.pb.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/state_share.h"

namespace routewright {

class CheckpointSaver {
 public:
  struct Options {
    FileSystem* files = nullptr;  // outlives the saver; thread-safe
    std::string folder;           // <run>/checkpoints
    CheckpointConfig config = {};
    ModelConfig model = {};
    int rank = 0;
    int num_ranks = 1;
  };
  explicit CheckpointSaver(Options options);
  // Gives up what is being written; what was committed stays.
  ~CheckpointSaver();

  // Rank 0: makes the folder that the ranks are going to write into. Before any rank's Start.
  // Fails as the file layer does.
  absl::Status Prepare(int64_t step, const std::vector<std::string>& models);

  // `state` is borrowed until the save is over (IsIdle). `texts` on rank 0 only. Waits for the save
  // before; fails as that one did.
  absl::Status Start(int64_t step, StateShare state, std::optional<CheckpointTexts> texts);

  // Waits until nothing is being written: on rank 0 the last checkpoint is then durable. Fails,
  // naming the step, as the file layer did; kDeadlineExceeded naming a rank that did not come.
  absl::Status Wait();
  // Until this rank's tensors are written, whatever the others do: `state` is no longer needed.
  absl::Status WaitForFiles();
  // On any rank: until the checkpoint is in its place, at most so long.
  void WaitForCommit(absl::Duration limit);
  // Ends the waiting for other ranks' parts.
  void GiveUp() { is_given_up_ = true; }

  bool IsIdle() const;
  // Of what was written so far, without waiting.
  absl::Status status() const;
  // Rank 0: from Start until durable, of the save that became so since the last call; unset: none.
  std::optional<absl::Duration> TakeWriteTime();

 private:
  enum class Phase { kIdle, kWriting, kCommitting };
  void Enter(Phase phase);
  absl::Status SaveOrExplain(int64_t step, const StateShare& state,
                             const std::optional<CheckpointTexts>& texts);
  absl::Status Save(int64_t step, const StateShare& state,
                    const std::optional<CheckpointTexts>& texts);

  const Options options_;
  CheckpointStore store_;
  int64_t step_ = -1;  // of the last Start
  std::atomic<bool> is_given_up_ = false;
  mutable absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kIdle;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> write_time_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the others
};

}  // namespace routewright
