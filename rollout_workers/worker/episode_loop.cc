#include "rollout_workers/worker/episode_loop.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// How long the loop waits when nothing moves. News and pool calls end the wait: it bounds
// only what was forgotten.
constexpr absl::Duration kLongestWait = absl::Seconds(1);

}  // namespace

EpisodeLoop::EpisodeLoop(const EpisodeContext* context, GeneratorFactory make_generator,
                         PoolClient* pool, WorkerIdentity worker, WorkerExchange* exchange)
    : context_(context),
      make_generator_(std::move(make_generator)),
      pool_(pool),
      worker_(std::move(worker)),
      exchange_(exchange) {}

absl::Status EpisodeLoop::Run() {
  while (!exchange_->is_over()) RW_RETURN_IF_ERROR(Turn());
  return absl::OkStatus();
}

absl::Status EpisodeLoop::Turn() {
  const bool has_work = has_running() || next_weights_ != nullptr;
  Apply(has_work ? exchange_->TakeNews() : exchange_->WaitForNews(kLongestWait));
  RW_RETURN_IF_ERROR(InstallWeights());
  RW_RETURN_IF_ERROR(BeginLeases());
  if (!has_running()) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(std::vector<Trajectory> finished, runner_->Step(kLongestWait));
  for (Trajectory& trajectory : finished) exchange_->Finish(Stamped(std::move(trajectory)));
  return absl::OkStatus();
}

void EpisodeLoop::Apply(WorkerExchange::News news) {
  if (news.is_reset) {
    waiting_.clear();
    next_weights_.reset();
    version_.reset();
    if (runner_ != nullptr) {
      for (const std::string& id : runner_->RunningIds()) runner_->Cancel(id);
    }
  }
  for (const std::string& id : news.cancelled_ids) CancelEpisode(id);
  for (EpisodeLease& lease : news.leases) {
    const std::string id = lease.spec().episode_id();
    waiting_[id] = {.lease = std::move(lease), .leased = absl::Now()};
  }
  if (news.weights != nullptr) {
    next_weights_ = std::move(news.weights);
    next_version_ = news.weights_version;
  }
  if (news.void_version.has_value()) {
    std::erase_if(waiting_, [&](const auto& entry) {
      const bool is_void = entry.second.lease.spec().policy_version() == *news.void_version;
      if (is_void) exchange_->Drop(entry.first);
      return is_void;
    });
  }
}

void EpisodeLoop::CancelEpisode(const std::string& episode_id) {
  const bool was_waiting = waiting_.erase(episode_id) > 0;
  const bool was_running = runner_ != nullptr && runner_->Cancel(episode_id).has_value();
  if (was_waiting || was_running) LogInfo("episode cancelled by the learner episode=", episode_id);
}

absl::Status EpisodeLoop::InstallWeights() {
  if (next_weights_ == nullptr || has_running()) return absl::OkStatus();
  if (generator_ == nullptr) {
    RW_ASSIGN_OR_RETURN(generator_, make_generator_(std::move(next_weights_), next_version_));
    runner_ = std::make_unique<EpisodeRunner>(context_, generator_.get(), pool_);
  } else {
    RW_RETURN_IF_ERROR(generator_->SetWeights(std::move(next_weights_), next_version_));
  }
  next_weights_.reset();
  ReleaseFreeMemory();  // the fetched tensors'
  version_ = next_version_;
  LogInfo("weights installed policy_version=", next_version_);
  return absl::OkStatus();
}

absl::Status EpisodeLoop::BeginLeases() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto& [lease, leased] = it->second;
    const int64_t wanted = lease.spec().policy_version();
    if (!version_.has_value() || wanted > *version_) {
      ++it;
      continue;
    }
    if (wanted < *version_) {
      LogWarning("lease dropped, its weights are gone episode=", it->first,
                 " policy_version=", wanted, " installed=", *version_);
      exchange_->Drop(it->first);
    } else {
      const absl::Status status = runner_->Add(lease.spec(), lease.attempt(), leased);
      if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    }
    it = waiting_.erase(it);
  }
  return absl::OkStatus();
}

std::vector<Trajectory> EpisodeLoop::Abandon() {
  std::vector<Trajectory> abandoned;
  for (const auto& [id, waiting] : waiting_) {
    const EpisodeLease& lease = waiting.lease;
    abandoned.push_back(
        Stamped(Episode(context_, lease.spec(), lease.attempt()).End(EPISODE_STATUS_CANCELLED)));
  }
  waiting_.clear();
  if (runner_ == nullptr) return abandoned;
  for (const std::string& id : runner_->RunningIds())
    abandoned.push_back(Stamped(*runner_->Cancel(id)));
  return abandoned;
}

Trajectory EpisodeLoop::Stamped(Trajectory trajectory) {
  trajectory.set_worker_id(worker_.worker_id());
  trajectory.set_worker_epoch(worker_.worker_epoch());
  trajectory.set_sequence_number(++last_sequence_number_);
  if (trajectory.has_trace()) {
    trajectory.mutable_trace()->set_clock_offset_us(
        absl::ToInt64Microseconds(exchange_->clock_offset()));
  }
  return trajectory;
}

}  // namespace routewright
