// Which episode of the running step is whose: given out as leases with deadlines, given out again
// when a worker falls silent or a pool failed, committed once. Pure: time is an argument. Not
// thread-safe: the rollout service's lock guards it.
//
//   waiting ──Lease──▶ leased ──Commit──▶ committed
//      ▲                 │
//      └── expired, or pool failed with attempts left
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/episode.pb.h"
#include "proto/learner_service.pb.h"
#include "trainer/experience/trajectory_source.h"

namespace routewright {

class LeaseTable {
 public:
  // max_attempts: tries of an episode whose pool call failed, ≥ 1.
  LeaseTable(absl::Duration lease_timeout, int max_attempts);

  // Forgets the last plan: what still comes of it is unwanted.
  void StartStep(const StepPlan& plan);
  void CancelStep();

  // Up to `max_episodes` leases in plan order, to a worker that must renew them within the timeout.
  std::vector<EpisodeLease> Lease(const WorkerIdentity& worker, int max_episodes, absl::Time now);
  // Renews those of `episode_ids` that are this worker epoch's; returns the others: the
  // worker should drop them.
  std::vector<std::string> Renew(const WorkerIdentity& worker,
                                 const std::vector<std::string>& episode_ids, absl::Time now);
  // Gives expired leases back.
  void Expire(absl::Time now);
  // When a new epoch of this worker registers: gives back at once what an earlier one held.
  void ReleaseEarlierEpochs(const WorkerIdentity& worker);

  enum class CommitResult { kCommitted, kDuplicate, kUnwanted, kTryAgain };
  // Takes a finished trajectory, checked before (trajectory_check.h). Whatever the result, the
  // worker need not send it again. kTryAgain: its pool failed and attempts are left.
  CommitResult Commit(Trajectory trajectory);
  // Gives an episode back whose trajectory was refused.
  void Refuse(const std::string& episode_id);

  // The plan's spec of an episode, or nullptr if it is not of the running step.
  const EpisodeSpec* FindSpec(const std::string& episode_id) const;

  bool IsCommitted(const std::string& episode_id) const;

  bool has_waiting() const { return num_waiting_ > 0; }
  bool is_complete() const { return num_committed_ == static_cast<int>(entries_.size()); }
  int num_episodes() const { return static_cast<int>(entries_.size()); }
  int num_committed() const { return num_committed_; }
  // The trajectories in plan order and the step's counters; the table is empty after
  // it. Only when is_complete.
  CollectedStep TakeStep();

 private:
  enum class State { kWaiting, kLeased, kCommitted };
  struct Entry {
    EpisodeSpec spec;
    State state = State::kWaiting;
    int attempt = 0;  // leases given so far
    int pool_failures = 0;
    WorkerIdentity worker;
    absl::Time expires;
    Trajectory trajectory;
  };
  Entry* Find(const std::string& episode_id);
  void GiveBack(Entry& entry);

  const absl::Duration lease_timeout_;
  const int max_attempts_;
  std::vector<Entry> entries_;                   // plan order
  absl::flat_hash_map<std::string, int> index_;  // episode id → entries_
  int num_waiting_ = 0, num_committed_ = 0;
  int64_t leases_expired_ = 0, duplicates_ = 0;
};

}  // namespace routewright
