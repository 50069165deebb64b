// The learner's run, on every rank. Rank 0 (trainer/loop/leader) draws questions, gets trajectories and
// decides; the other ranks follow its messages. Only the update itself is done by all.
//
//            rank 0                                                        ranks 1 …
//   questions ─▶ EpisodeSpecs ─▶ TrajectorySource ─▶ workers
//                                     │ trajectories, in episode order
//   cost windows ─▶ rewards ◀─────────┘                 (kWait now and then)
//                      │ batch ── kUpdate ──────────────────▶ batch
//                      ▼                                       ▼
//              PolicyUpdate.Run ◀─── blocks and gradients ────▶ PolicyUpdate.Run
//                      │ weights, version + 1
//                      ├─▶ TrajectorySource ─▶ workers
//                      ├─▶ metrics.jsonl, trajectories/, progress
//                      └─▶ checkpoint, now and then ── kStop at the end, or after a signal
//
// A run is a function of its config, its data and what the episodes bring: every random draw is
// counter-based, so a checkpoint holds cursors and no generators, and k steps, a kill and a resume
// give the bits of a run never stopped.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/prometheus/prometheus_exporter.h"
#include "proto/config.pb.h"
#include "trainer/comm/communicator.h"
#include "trainer/experience/trajectory_source.h"

namespace routewright {

class LiveState;

// All pointers must outlive the run.
struct LearnerParts {
  const RunConfig* config = nullptr;  // validated
  Communicator* communicator = nullptr;
  bool is_on_gpu = false;
  std::string code_version;                // of the program, for checkpoints
  PrometheusExporter* exporter = nullptr;  // nullptr: no metrics are served
  std::string environment;          // rank 0: the text of <run>/environment.json; empty: none
  LiveState* live_state = nullptr;  // rank 0: what its page shows; nullptr: there is no page
  // "auto": the newest checkpoint of the run's folder, if any; "none"; or a checkpoint's folder
  std::string resume = "auto";
  // Starts of the same name are one submission, which "none" or a folder tells once where to begin:
  // a job that was queued again goes on. Empty: this start is one by itself.
  std::string submission;
  std::function<bool()> is_stop_requested;
  FileSystem* files = nullptr;  // the run's folder is on a file system that all ranks share
  // Rank 0 only:
  // Begins to serve episodes for a policy of this vocabulary; not called for algorithm: supervised.
  std::function<absl::StatusOr<std::unique_ptr<TrajectorySource>>(int64_t vocabulary_size)>
      open_source;
  std::FILE* progress_out = nullptr;  // nullptr: no progress is shown
  // A committed episode for people, control characters escaped; empty: none is shown.
  std::function<std::string(const Trajectory&)> describe_episode;
};

enum class RunOutcome {
  kFinished,
  kPreempted,  // stopped by a signal, after a durable checkpoint
};

// Runs to the end, or to a stop. On an error of any rank the caller must Abort the communicator, or
// the other ranks wait for their deadlines. Never throws.
absl::StatusOr<RunOutcome> RunLearner(const LearnerParts& parts);

// For what fails on every rank alike before there is a run: rank 0 writes it into learner.json,
// where launchers look, before any rank ends. Returns `ready`. Collective unless that is OK.
absl::Status PutFailedStartOnRecord(const LearnerParts& parts, const absl::Status& ready);

}  // namespace routewright
