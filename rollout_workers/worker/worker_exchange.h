// Where a worker's threads meet: what was leased for the episode loop, what the loop has finished
// for the learner, which weights are wanted and which have come. Everything is bounded by
// max_episodes: an episode holds its slot from its lease until its trajectory is acknowledged, so a
// learner that does not take trajectories gets no leases taken.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "policy/model/policy_weights.h"
#include "proto/learner_service.pb.h"

namespace routewright {

// Thread-safe. `wake` is called, without a lock held, when there is news for the episode loop.
class WorkerExchange {
 public:
  WorkerExchange(int max_episodes, std::function<void()> wake);

  // ---- the lease thread's side
  struct LeaseNeeds {
    int free_slots = 0;
    std::vector<std::string> active_ids;
    uint64_t learner_epoch = 0;       // of the learner that holds them
    absl::Duration waited_for_lease;  // so far, in which nothing was leased
  };
  // What to ask the learner for. Returns at once if slots are free, else when
  // one is, or after `wait`.
  LeaseNeeds WaitForSlots(absl::Duration wait);
  void Accept(const LeaseResponse& response);
  // How far the learner's clock is ahead, as far as is known now.
  void SetClockOffset(absl::Duration offset);
  // A learner is registered with. If it is another than before, everything that was leased,
  // finished or fetched belongs to the one before and is dropped.
  void SetLearner(uint64_t learner_epoch);

  // ---- the weight thread's side
  struct WantedVersion {
    int64_t policy_version = 0;
    uint64_t learner_epoch = 0;  // what comes of an earlier learner is not used
  };
  // The version that leases wait for, once it is another than the one that came
  // last; nullopt after `wait`.
  std::optional<WantedVersion> WaitForWantedVersion(absl::Duration wait);
  void DeliverWeights(const WantedVersion& version, std::shared_ptr<const PolicyWeights> weights);
  // The learner does not have the version any more: leases of it are void.
  void WithdrawVersion(const WantedVersion& version);

  // ---- the submitting thread's side
  struct Finished {
    std::vector<Trajectory> trajectories;
    uint64_t learner_epoch = 0;  // of the learner that leased them
  };
  // Copies of the oldest finished trajectories, up to about `max_bytes` but at
  // least one; none after `wait`.
  Finished WaitForFinished(size_t max_bytes, absl::Duration wait);
  void Acknowledge(uint64_t learner_epoch, const std::vector<std::string>& episode_ids);

  // ---- the episode loop's side
  struct News {
    bool is_reset = false;                         // first: drop everything
    std::vector<std::string> cancelled_ids;        // then these
    std::optional<int64_t> void_version;           // then leases of this version
    std::vector<EpisodeLease> leases;              // then begin these
    int64_t weights_version = 0;                   // of `weights`
    std::shared_ptr<const PolicyWeights> weights;  // unset if none have come since the last time
    bool is_over = false;  // leave: the run is finished, the worker was stopped, or a thread failed
  };
  News TakeNews();
  // TakeNews, but waits up to `wait` for something to be in it.
  News WaitForNews(absl::Duration wait);
  void Finish(Trajectory trajectory);
  // An episode that will have no trajectory: its slot is free.
  void Drop(const std::string& episode_id);

  // ---- anybody's
  absl::Duration clock_offset() const;
  // Ends the worker: Ok when the run has finished or the worker is asked to
  // leave; the first status stays.
  void End(absl::Status status);
  bool is_over() const;
  absl::Status status() const;
  // The learner has said that the run is finished: it wants nothing more.
  bool is_run_finished() const;

 private:
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Called after every change of active_ids_.
  void NoteActive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int free_slots() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cancel(const std::string& episode_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int max_episodes_;
  const std::function<void()> wake_;

  mutable absl::Mutex mutex_;
  // Leased, not acknowledged and not dropped.
  std::set<std::string> active_ids_ ABSL_GUARDED_BY(mutex_);
  absl::Duration waited_for_lease_ ABSL_GUARDED_BY(mutex_);  // up to idle_since_
  absl::Time idle_since_ ABSL_GUARDED_BY(mutex_);            // InfiniteFuture: something is leased
  std::deque<Trajectory> finished_ ABSL_GUARDED_BY(mutex_);  // not acknowledged
  News news_ ABSL_GUARDED_BY(mutex_);
  uint64_t learner_epoch_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: no learner yet
  absl::Duration clock_offset_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> wanted_version_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> delivered_version_ ABSL_GUARDED_BY(mutex_);
  bool is_run_finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace routewright
