#include "trainer/rollout_service/lease_table.h"

#include <utility>

#include "common/check.h"

namespace routewright {
namespace {

bool IsSame(const WorkerIdentity& a, const WorkerIdentity& b) {
  return a.worker_id() == b.worker_id() && a.worker_epoch() == b.worker_epoch();
}

}  // namespace

LeaseTable::LeaseTable(absl::Duration lease_timeout, int max_attempts)
    : lease_timeout_(lease_timeout), max_attempts_(max_attempts) {
  RW_CHECK(max_attempts >= 1) << max_attempts;
}

void LeaseTable::StartStep(const StepPlan& plan) {
  CancelStep();
  for (const EpisodeSpec& spec : plan.episodes) {
    const bool is_new = index_.emplace(spec.episode_id(), static_cast<int>(entries_.size())).second;
    RW_CHECK(is_new) << "episode id " << spec.episode_id() << " twice in one plan";
    Entry entry;
    entry.spec = spec;
    entries_.push_back(std::move(entry));
  }
  num_waiting_ = num_episodes();
}

void LeaseTable::CancelStep() {
  entries_.clear();
  index_.clear();
  num_waiting_ = num_committed_ = 0;
  leases_expired_ = duplicates_ = 0;
}

std::vector<EpisodeLease> LeaseTable::Lease(const WorkerIdentity& worker, int max_episodes,
                                            absl::Time now) {
  std::vector<EpisodeLease> leases;
  for (Entry& entry : entries_) {
    if (static_cast<int>(leases.size()) >= max_episodes || num_waiting_ == 0) break;
    if (entry.state != State::kWaiting) continue;
    entry.state = State::kLeased;
    entry.worker = worker;
    entry.expires = now + lease_timeout_;
    --num_waiting_;
    EpisodeLease& lease = leases.emplace_back();
    *lease.mutable_spec() = entry.spec;
    lease.set_attempt(++entry.attempt);
    lease.set_timeout_s(absl::ToDoubleSeconds(lease_timeout_));
  }
  return leases;
}

std::vector<std::string> LeaseTable::Renew(const WorkerIdentity& worker,
                                           const std::vector<std::string>& episode_ids,
                                           absl::Time now) {
  std::vector<std::string> dropped;
  for (const std::string& id : episode_ids) {
    Entry* entry = Find(id);
    if (entry != nullptr && entry->state == State::kLeased && IsSame(entry->worker, worker)) {
      entry->expires = now + lease_timeout_;
    } else if (entry == nullptr || entry->state != State::kCommitted ||
               !IsSame(entry->worker, worker)) {
      dropped.push_back(id);  // a committed one of its own is simply not yet acknowledged
    }
  }
  return dropped;
}

void LeaseTable::Expire(absl::Time now) {
  for (Entry& entry : entries_) {
    if (entry.state != State::kLeased || entry.expires > now) continue;
    ++leases_expired_;
    GiveBack(entry);
  }
}

void LeaseTable::ReleaseEarlierEpochs(const WorkerIdentity& worker) {
  for (Entry& entry : entries_) {
    if (entry.state != State::kLeased || entry.worker.worker_id() != worker.worker_id()) continue;
    if (entry.worker.worker_epoch() == worker.worker_epoch()) continue;
    ++leases_expired_;
    GiveBack(entry);
  }
}

LeaseTable::CommitResult LeaseTable::Commit(Trajectory trajectory) {
  Entry* entry = Find(trajectory.episode_id());
  if (entry == nullptr) return CommitResult::kUnwanted;
  if (entry->state == State::kCommitted) {
    ++duplicates_;
    return CommitResult::kDuplicate;
  }
  const bool is_pool_failure = trajectory.status() == EPISODE_STATUS_POOL_FAILED;
  if (is_pool_failure &&
      (entry->state != State::kLeased || trajectory.attempt() != entry->attempt)) {
    return CommitResult::kTryAgain;  // counted before, or about to be tried again anyway
  }
  if (trajectory.status() == EPISODE_STATUS_CANCELLED ||
      (is_pool_failure && ++entry->pool_failures < max_attempts_)) {
    GiveBack(*entry);
    return CommitResult::kTryAgain;
  }
  if (entry->state == State::kWaiting)
    --num_waiting_;  // its lease had expired: the work is welcome all the same
  entry->state = State::kCommitted;
  entry->trajectory = std::move(trajectory);
  ++num_committed_;
  return CommitResult::kCommitted;
}

void LeaseTable::Refuse(const std::string& episode_id) {
  if (Entry* entry = Find(episode_id); entry != nullptr && entry->state == State::kLeased)
    GiveBack(*entry);
}

const EpisodeSpec* LeaseTable::FindSpec(const std::string& episode_id) const {
  const auto found = index_.find(episode_id);
  return found == index_.end() ? nullptr : &entries_[found->second].spec;
}

bool LeaseTable::IsCommitted(const std::string& episode_id) const {
  const auto found = index_.find(episode_id);
  return found != index_.end() && entries_[found->second].state == State::kCommitted;
}

CollectedStep LeaseTable::TakeStep() {
  RW_CHECK(is_complete()) << num_committed_ << " of " << num_episodes()
                          << " episodes are committed";
  CollectedStep step;
  step.leases_expired = leases_expired_;
  step.duplicates = duplicates_;
  for (Entry& entry : entries_) step.trajectories.push_back(std::move(entry.trajectory));
  CancelStep();
  return step;
}

LeaseTable::Entry* LeaseTable::Find(const std::string& episode_id) {
  const auto found = index_.find(episode_id);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

void LeaseTable::GiveBack(Entry& entry) {
  if (entry.state != State::kLeased) return;
  entry.state = State::kWaiting;
  ++num_waiting_;
}

}  // namespace routewright
