#include "rollout_workers/worker/worker_exchange.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/check.h"

namespace routewright {

WorkerExchange::WorkerExchange(int max_episodes, std::function<void()> wake)
    : max_episodes_(max_episodes), wake_(std::move(wake)), idle_since_(absl::Now()) {
  RW_CHECK(max_episodes > 0) << max_episodes;
}

WorkerExchange::LeaseNeeds WorkerExchange::WaitForSlots(absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  const auto has_slots = [this] {
    mutex_.AssertHeld();
    return free_slots() > 0 || news_.is_over;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&has_slots), wait);
  const absl::Duration idle =
      active_ids_.empty() ? absl::Now() - idle_since_ : absl::ZeroDuration();
  return {free_slots(),
          {active_ids_.begin(), active_ids_.end()},
          learner_epoch_,
          waited_for_lease_ + idle};
}

void WorkerExchange::Accept(const LeaseResponse& response) {
  {
    absl::MutexLock lock(&mutex_);
    for (const std::string& id : response.cancelled_episode_ids()) Cancel(id);
    for (const EpisodeLease& lease : response.leases()) {
      // One that is held already expired on the way: the copy that is under way will do.
      if (!active_ids_.insert(lease.spec().episode_id()).second) continue;
      news_.leases.push_back(lease);
      if (lease.spec().policy_version() != delivered_version_)
        wanted_version_ = lease.spec().policy_version();
    }
    NoteActive();
    is_run_finished_ = is_run_finished_ || response.is_finished();
    news_.is_over = news_.is_over || is_run_finished_;
  }
  wake_();
}

void WorkerExchange::SetClockOffset(absl::Duration offset) {
  absl::MutexLock lock(&mutex_);
  clock_offset_ = offset;
}

absl::Duration WorkerExchange::clock_offset() const {
  absl::MutexLock lock(&mutex_);
  return clock_offset_;
}

void WorkerExchange::SetLearner(uint64_t learner_epoch) {
  {
    absl::MutexLock lock(&mutex_);
    const uint64_t before = std::exchange(learner_epoch_, learner_epoch);
    if (before == 0 || before == learner_epoch) return;
    active_ids_.clear();
    NoteActive();
    finished_.clear();
    const bool is_over = news_.is_over;
    news_ = News();
    news_.is_reset = true;
    news_.is_over = is_over;
    wanted_version_.reset();
    delivered_version_.reset();
  }
  wake_();
}

std::optional<WorkerExchange::WantedVersion> WorkerExchange::WaitForWantedVersion(
    absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  const auto is_wanted = [this] {
    mutex_.AssertHeld();
    return wanted_version_.has_value() || news_.is_over;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&is_wanted), wait);
  if (!wanted_version_.has_value()) return std::nullopt;
  return WantedVersion{*wanted_version_, learner_epoch_};
}

void WorkerExchange::DeliverWeights(const WantedVersion& version,
                                    std::shared_ptr<const PolicyWeights> weights) {
  {
    absl::MutexLock lock(&mutex_);
    if (version.learner_epoch != learner_epoch_) return;
    news_.weights = std::move(weights);
    news_.weights_version = version.policy_version;
    delivered_version_ = version.policy_version;
    if (wanted_version_ == version.policy_version) wanted_version_.reset();
  }
  wake_();
}

void WorkerExchange::WithdrawVersion(const WantedVersion& version) {
  {
    absl::MutexLock lock(&mutex_);
    if (version.learner_epoch != learner_epoch_) return;
    if (wanted_version_ == version.policy_version) wanted_version_.reset();
    news_.void_version = version.policy_version;
  }
  wake_();
}

WorkerExchange::Finished WorkerExchange::WaitForFinished(size_t max_bytes, absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  const auto has_finished = [this] {
    mutex_.AssertHeld();
    return !finished_.empty() || news_.is_over;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&has_finished), wait);
  Finished batch;
  batch.learner_epoch = learner_epoch_;
  size_t num_bytes = 0;
  for (const Trajectory& trajectory : finished_) {
    num_bytes += trajectory.ByteSizeLong();
    if (!batch.trajectories.empty() && num_bytes > max_bytes) break;
    batch.trajectories.push_back(trajectory);
  }
  return batch;
}

void WorkerExchange::Acknowledge(uint64_t learner_epoch,
                                 const std::vector<std::string>& episode_ids) {
  const std::set<std::string> ids(episode_ids.begin(), episode_ids.end());
  absl::MutexLock lock(&mutex_);
  if (learner_epoch != learner_epoch_) return;  // another has leased them since
  std::erase_if(finished_, [&](const Trajectory& trajectory) {
    if (ids.count(trajectory.episode_id()) == 0) return false;
    active_ids_.erase(trajectory.episode_id());
    return true;
  });
  NoteActive();
}

WorkerExchange::News WorkerExchange::TakeNews() { return WaitForNews(absl::ZeroDuration()); }

WorkerExchange::News WorkerExchange::WaitForNews(absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &WorkerExchange::HasNews), wait);
  News news = std::exchange(news_, News());
  news_.is_over = news.is_over;  // for good
  return news;
}

void WorkerExchange::Finish(Trajectory trajectory) {
  absl::MutexLock lock(&mutex_);
  if (active_ids_.count(trajectory.episode_id()) > 0) finished_.push_back(std::move(trajectory));
}

void WorkerExchange::Drop(const std::string& episode_id) {
  absl::MutexLock lock(&mutex_);
  active_ids_.erase(episode_id);
  NoteActive();
}

void WorkerExchange::End(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (status_.ok() && !news_.is_over) status_ = std::move(status);
    news_.is_over = true;
  }
  wake_();
}

bool WorkerExchange::is_over() const {
  absl::MutexLock lock(&mutex_);
  return news_.is_over;
}

absl::Status WorkerExchange::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

bool WorkerExchange::is_run_finished() const {
  absl::MutexLock lock(&mutex_);
  return is_run_finished_;
}

bool WorkerExchange::HasNews() const {
  return news_.is_reset || news_.is_over || news_.weights != nullptr ||
         news_.void_version.has_value() || !news_.leases.empty() || !news_.cancelled_ids.empty();
}

void WorkerExchange::NoteActive() {
  const bool was_idle = idle_since_ != absl::InfiniteFuture();
  if (active_ids_.empty() == was_idle) return;
  if (was_idle) waited_for_lease_ += absl::Now() - idle_since_;
  idle_since_ = was_idle ? absl::InfiniteFuture() : absl::Now();
}

int WorkerExchange::free_slots() const {
  return max_episodes_ - static_cast<int>(active_ids_.size());
}

void WorkerExchange::Cancel(const std::string& episode_id) {
  active_ids_.erase(episode_id);
  std::erase_if(finished_, [&](const Trajectory& t) { return t.episode_id() == episode_id; });
  std::erase_if(news_.leases,
                [&](const EpisodeLease& lease) { return lease.spec().episode_id() == episode_id; });
  news_.cancelled_ids.push_back(episode_id);
}

}  // namespace routewright
