// The trajectories of the last steps as they were acknowledged, on disk before their workers hear
// of it. A learner that was killed takes them up again: what was paid for is not paid for twice,
// and a step since the last checkpoint is made again without waiting for episodes.
//
//   <run>/journal/step-000012.bin    8 bytes "RWJRNL1\n", then records: u32 length, u32 CRC-32C of
//                                    the payload (both little-endian), payload. The first payload
//                                    is a JournalOrigin, each other one a Trajectory
//                                    (proto/episode).
//
// A step's file counts only if its origin is the step's: episodes that the same config describes,
// sampled from the same weights, bit by bit. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/file_system.h"
#include "proto/episode.pb.h"

namespace routewright {

class TrajectoryJournal {
 public:
  // `folder` is <run>/journal; `files` must outlive the journal.
  TrajectoryJournal(FileSystem& files, std::string folder);

  // Begins or goes on with a step, and returns its trajectories so far, in the order in which they
  // came; a record that was torn when the process died is dropped. A file of another origin is
  // begun anew. Fails as the file layer does.
  absl::StatusOr<std::vector<Trajectory>> OpenStep(int64_t step, const JournalOrigin& origin)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Durable on return. Only of the step that was opened. Fails as the file layer does.
  absl::Status Append(std::span<const Trajectory> trajectories) ABSL_LOCKS_EXCLUDED(mutex_);
  // Removes the files of the steps before `step`, which a checkpoint has learnt from.
  absl::Status ForgetBefore(int64_t step) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  std::string PathOf(int64_t step) const;

  FileSystem& files_;
  const std::string folder_;
  absl::Mutex mutex_;
  std::unique_ptr<WritableFile> file_ ABSL_GUARDED_BY(mutex_);  // of the step that was opened
};

}  // namespace routewright
