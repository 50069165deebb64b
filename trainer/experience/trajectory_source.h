// Where rank 0's learner gets its trajectories and where its weights go: the seam
// between the learner's loop and whoever talks to the rollout workers
// (trainer/rollout_service; a fake in tests).
//
//   learner ─── StepPlan (EpisodeSpecs) ──▶ TrajectorySource ──▶ workers
//   learner ◀── trajectories, in order ──── TrajectorySource ◀── workers
//   learner ─── PublishWeights(version) ──▶ TrajectorySource ──▶ workers
//
// Leases, retries and which worker runs what are the source's.
//
// Only rank 0 has one. One thread calls; the implementation's own threads do the serving.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/episode.pb.h"

namespace routewright {

class PolicyWeights;  // policy/model/policy_weights.h

// The episodes of one step: those to train on, then those to evaluate (purpose
// EVAL) if this step evaluates.
struct StepPlan {
  int64_t step = 0;                   // optimizer steps done before this one
  int64_t policy_version = 0;         // that every episode samples from; published before
  std::vector<EpisodeSpec> episodes;  // unique ids; their order is the order of the result
};

// How far a step's collection has come.
struct CollectProgress {
  int num_episodes = 0;
  int num_committed = 0;
  int num_workers = 0;  // heard of within a lease's timeout
};

// A worker as the learner knows it.
struct WorkerView {
  std::string id = "";
  std::string code_version = "";
  double silent_s = 0;         // since it was heard of
  bool is_live = false;        // heard of within a lease's timeout
  int64_t policy_version = 0;  // that its last trajectory was sampled from; 0: none came yet
  int64_t trajectories = 0;    // that came from it and were wanted
  int64_t pool_failures = 0;   // of those, episodes whose pool failed
  int active_episodes = 0;     // that it said it was running
  double waited_s = 0;         // without an episode, since its process began
};
struct WorkersView {
  int64_t newest_version = 0;  // of the published weights
  std::vector<WorkerView> workers;
};

struct CollectedStep {
  std::vector<Trajectory> trajectories;  // one per episode of the plan, in the plan's order
  int64_t leases_expired = 0;  // of this step: leases given out again after a worker fell silent
  int64_t duplicates = 0;      // trajectories that came again and were not counted
  int64_t replayed = 0;        // taken from the journal of a learner that died in this step
  int num_workers = 0;
  double worker_wait_s = 0;  // without a lease, since the last step's end: mean over the workers
};

class TrajectorySource {
 public:
  virtual ~TrajectorySource() = default;

  // Makes `weights` the version that workers fetch. Must be called before the first CollectStep of
  // that version, also for the version that a run starts or resumes with. Older ones are dropped.
  virtual absl::Status PublishWeights(int64_t policy_version,
                                      std::shared_ptr<const PolicyWeights> weights) = 0;

  // Nothing will be sampled from the published versions any more: frees their weights, before the
  // next version's are made.
  virtual void RetireWeights() = 0;

  // Runs every episode of the plan and blocks until each has a committed trajectory. An episode
  // whose pool call failed is tried again up to episode.max_attempts times; the last attempt's
  // trajectory, status POOL_FAILED, is returned in its place. No worker: waits for one.
  // `should_go_on` is called on this thread at least once a second; when it returns false the step
  // is given up: its leases are cancelled and kCancelled is returned; the same plan may be asked
  // for again. Does not touch rewards: `cost_reward` and `reward` are the learner's.
  virtual absl::StatusOr<CollectedStep> CollectStep(
      const StepPlan& plan, const std::function<bool(const CollectProgress&)>& should_go_on) = 0;

  // Who the workers are. Any thread.
  virtual WorkersView ViewWorkers() const { return {}; }

  // A checkpoint has what the steps before `step` led to: their trajectories need not be kept.
  virtual absl::Status ForgetBefore(int64_t step) = 0;

  // Tells the workers that the run has ended (`is_finished`), waits briefly for them to
  // hear it, and stops serving.
  virtual absl::Status Finish() = 0;
};

}  // namespace routewright
