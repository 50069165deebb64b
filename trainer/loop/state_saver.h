// A rank's part in saving: copies its share of the state, hands it to the thread that
// writes it (trainer/checkpoint/checkpoint_saver), and tells the other ranks if that
// fails. The learner's thread.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "policy/model/model_config.h"
#include "trainer/checkpoint/checkpoint_saver.h"
#include "trainer/loop/learner.h"
#include "trainer/update/host_copy.h"
#include "trainer/update/policy_update.h"

namespace routewright {

class StateSaver {
 public:
  // `parts` and `update` must outlive the saver.
  StateSaver(const LearnerParts& parts, const ModelConfig& model, const PolicyUpdate* update);

  // Rank 0, before it tells the others to start. Fails as the file layer does.
  absl::Status Prepare(int64_t step);
  // Returns once training may change the state: with checkpoint.asynchronous after a copy, else
  // when this rank's files are written. `texts` on rank 0 only. Fails as the save before did.
  absl::Status Start(int64_t step, std::optional<CheckpointTexts> texts);
  // Whether some rank's writing failed so far: the same answer on every rank. Collective.
  absl::Status Check();

  bool IsIdle() const { return saver_.IsIdle(); }
  // As CheckpointSaver.
  std::optional<absl::Duration> TakeWriteTime() { return saver_.TakeWriteTime(); }
  // Rank 0: the last checkpoint is durable. Fails as its saving did.
  absl::Status Wait() { return saver_.Wait(); }
  // Before a run that failed ends: for what is under way, at most half a minute.
  void WaitForCommit();
  void GiveUp() { saver_.GiveUp(); }

 private:
  Communicator& communicator_;
  const PolicyUpdate* const update_;
  const bool is_asynchronous_;
  HostCopy copy_;
  CheckpointSaver saver_;  // last: its thread reads the copy
};

}  // namespace routewright
