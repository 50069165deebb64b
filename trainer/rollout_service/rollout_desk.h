// The rollout service's logic without the wire: who the workers are, what they run, what
// came back. Implements the learner's side (CollectStep) and the workers' side (Register,
// Lease, Submit) over one lock.
//
// Threads: thread-safe. A clerk thread of its own expires leases and answers lease requests that
// wait for work. Replies are called without the lock held.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "proto/learner_service.pb.h"
#include "trainer/experience/trajectory_source.h"
#include "trainer/rollout_service/lease_table.h"
#include "trainer/rollout_service/trajectory_journal.h"
#include "trainer/rollout_service/weight_publisher.h"

namespace routewright {

struct RolloutDeskOptions {
  std::string run_name;
  uint64_t config_digest = 0;  // of what workers act on; a worker with another one is refused
  int64_t vocabulary_size = 0;
  absl::Duration lease_timeout = absl::Seconds(120);
  int max_attempts = 3;
  Clock* clock = &Clock::Real();  // borrowed for the desk's life
  // Borrowed likewise; nullptr: what was acknowledged is lost with the process.
  TrajectoryJournal* journal = nullptr;
};

class RolloutDesk {
 public:
  explicit RolloutDesk(const RolloutDeskOptions& options);
  ~RolloutDesk();

  // ---- the workers' side
  // Fails: kFailedPrecondition if the worker's config is not the learner's.
  absl::StatusOr<RegisterResponse> Register(const RegisterRequest& request)
      ABSL_LOCKS_EXCLUDED(mutex_);
  using LeaseReply = std::function<void(LeaseResponse)>;
  // Calls `reply` once: now if there is something to say, else within wait_ms. While it waits,
  // `is_gone` is asked whether the worker still listens: to one that does not, nothing is leased.
  void Lease(const LeaseRequest& request, std::function<bool()> is_gone, LeaseReply reply)
      ABSL_LOCKS_EXCLUDED(mutex_);
  SubmitResponse Submit(const SubmitRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // Fails: kAborted if a request is meant for an earlier learner at this address.
  absl::Status CheckLearnerEpoch(const WorkerIdentity& worker, uint64_t learner_epoch) const;
  WeightPublisher& publisher() { return publisher_; }

  // ---- the learner's side (see TrajectorySource)
  absl::StatusOr<CollectedStep> CollectStep(
      const StepPlan& plan, const std::function<bool(const CollectProgress&)>& should_go_on)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on every lease request is answered with is_finished. Returns when every worker that
  // was heard of lately has been told, or after `patience`.
  void Finish(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mutex_);
  WorkersView ViewWorkers() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Worker {
    uint64_t epoch = 0;
    absl::Time last_heard;
    bool knows_finished = false;
    double waited_s = -1;  // for leases, as this epoch said last; −1: nothing yet
    std::string code_version;
    int64_t policy_version = 0;  // of its last trajectory
    int64_t trajectories = 0, pool_failures = 0;
    int active_episodes = 0;
  };
  struct WaitingRequest {
    LeaseRequest request;
    std::function<bool()> is_gone;
    LeaseReply reply;
    absl::Time give_up;
  };
  using Replies = std::vector<std::pair<LeaseReply, LeaseResponse>>;

  // Logs the refusal of a worker, once: it may come again and again.
  absl::Status RefuseConfig(const RegisterRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // Of the running step, checked, and not there yet; refuses what is not what was asked for.
  std::vector<Trajectory> TakeFresh(const SubmitRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What an earlier learner acknowledged of this plan, to be committed at its start.
  absl::StatusOr<std::vector<Trajectory>> OpenJournal(const StepPlan& plan);
  int64_t Replay(std::vector<Trajectory> known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ClerkLoop(std::stop_token stop) ABSL_LOCKS_EXCLUDED(mutex_);
  void AnswerWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  // True if the response says something or the wait is over.
  bool FillResponse(const LeaseRequest& request, LeaseResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Hear(const WorkerIdentity& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteWait(const LeaseRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteTrajectory(const WorkerIdentity& worker, const Trajectory& trajectory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int NumLiveWorkers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RolloutDeskOptions options_;
  const uint64_t learner_epoch_;
  WeightPublisher publisher_;  // own lock

  mutable absl::Mutex mutex_;
  LeaseTable table_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Worker> workers_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> refused_ ABSL_GUARDED_BY(mutex_);  // workers, for their config
  std::list<WaitingRequest> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status journal_status_ ABSL_GUARDED_BY(mutex_);  // the first failure ends the run
  double waited_s_ ABSL_GUARDED_BY(mutex_) = 0;  // by all workers, since the last step's end

  std::jthread clerk_;  // last: dies first
};

}  // namespace routewright
