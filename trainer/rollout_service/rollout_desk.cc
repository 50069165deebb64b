#include "trainer/rollout_service/rollout_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"
#include "trainer/rollout_service/trajectory_check.h"

namespace routewright {
namespace {

constexpr absl::Duration kClerkPeriod = absl::Milliseconds(50);
constexpr absl::Duration kLongestWait =
    absl::Seconds(30);  // of a lease request, whatever it asks for

}  // namespace

RolloutDesk::RolloutDesk(const RolloutDeskOptions& options)
    : options_(options),
      learner_epoch_(static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()))),
      table_(options.lease_timeout, options.max_attempts),
      clerk_([this](std::stop_token stop) { ClerkLoop(stop); }) {}

RolloutDesk::~RolloutDesk() {
  clerk_.request_stop();
  clerk_.join();
  std::list<WaitingRequest> waiting;
  {
    absl::MutexLock lock(&mutex_);
    waiting.swap(waiting_);
  }
  for (WaitingRequest& request : waiting) request.reply(LeaseResponse());
}

absl::StatusOr<RegisterResponse> RolloutDesk::Register(const RegisterRequest& request) {
  const WorkerIdentity& worker = request.worker();
  if (worker.worker_id().empty())
    return absl::InvalidArgumentError("a worker registers with its worker_id");
  if (request.config_digest() != options_.config_digest) return RefuseConfig(request);
  RegisterResponse response;
  response.set_run_name(options_.run_name);
  response.set_learner_epoch(learner_epoch_);
  response.set_policy_version(publisher_.newest_version());
  {
    absl::MutexLock lock(&mutex_);
    refused_.erase(worker.worker_id());
    table_.ReleaseEarlierEpochs(worker);
    Hear(worker);
    workers_[worker.worker_id()].code_version = request.code_version();
  }
  LogInfo("worker registered worker=", worker.worker_id(), " epoch=", worker.worker_epoch(),
          " code_version=", request.code_version());
  AnswerWaiting();
  return response;
}

absl::Status RolloutDesk::RefuseConfig(const RegisterRequest& request) {
  const std::string& id = request.worker().worker_id();
  const absl::Status refusal = absl::FailedPreconditionError(absl::StrFormat(
      "worker %s runs with other prompt, episode or pool settings, or another prompt template, "
      "than the learner of run '%s' (digest %016x, learner %016x): start it with the run's "
      "config.resolved.yaml and the same template files",
      id, options_.run_name, request.config_digest(), options_.config_digest));
  absl::MutexLock lock(&mutex_);
  if (refused_.insert(id).second) LogWarning("refused: ", refusal.message());
  return refusal;
}

absl::Status RolloutDesk::CheckLearnerEpoch(const WorkerIdentity& worker,
                                            uint64_t learner_epoch) const {
  if (learner_epoch == learner_epoch_) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("worker ", worker.worker_id(),
                                         " registered with learner_epoch ", learner_epoch,
                                         ", this is ", learner_epoch_, ": register again"));
}

void RolloutDesk::Lease(const LeaseRequest& request, std::function<bool()> is_gone,
                        LeaseReply reply) {
  LeaseResponse response;
  {
    absl::MutexLock lock(&mutex_);
    Hear(request.worker());
    NoteWait(request);
    workers_[request.worker().worker_id()].active_episodes = request.active_episode_ids_size();
    const bool has_news = FillResponse(request, response);
    if (!has_news && request.wait_ms() > 0) {
      const absl::Duration wait = std::min(absl::Milliseconds(request.wait_ms()), kLongestWait);
      waiting_.push_back({request, std::move(is_gone), std::move(reply), absl::Now() + wait});
      return;
    }
  }
  reply(std::move(response));
}

bool RolloutDesk::FillResponse(const LeaseRequest& request, LeaseResponse& response) {
  const absl::Time now = options_.clock->Now();
  response.Clear();
  response.set_policy_version(publisher_.newest_version());
  response.set_is_finished(is_finished_);
  const std::vector<std::string> active(request.active_episode_ids().begin(),
                                        request.active_episode_ids().end());
  for (std::string& id : table_.Renew(request.worker(), active, now)) {
    response.add_cancelled_episode_ids(std::move(id));
  }
  if (is_finished_) {
    workers_[request.worker().worker_id()].knows_finished = true;
    return true;
  }
  // A fair share of the step, so that the first worker to ask does not leave the others idle.
  const int live = std::max(1, NumLiveWorkers());
  const int share = (table_.num_episodes() + live - 1) / live;
  for (EpisodeLease& lease :
       table_.Lease(request.worker(), std::min(share, request.max_episodes()), now)) {
    *response.add_leases() = std::move(lease);
  }
  return response.leases_size() > 0 || response.cancelled_episode_ids_size() > 0;
}

SubmitResponse RolloutDesk::Submit(const SubmitRequest& request) {
  std::vector<Trajectory> fresh;
  {
    absl::MutexLock lock(&mutex_);
    Hear(request.worker());
    fresh = TakeFresh(request);
    for (const Trajectory& trajectory : fresh) NoteTrajectory(request.worker(), trajectory);
  }
  // Acknowledged is what is durable. The lock is not held while the disk is waited for.
  absl::Status status;
  if (options_.journal != nullptr) {
    std::vector<Trajectory> with_verdict;  // a failed attempt is not worth keeping
    for (const Trajectory& trajectory : fresh) {
      if (HasVerdict(trajectory)) with_verdict.push_back(trajectory);
    }
    status = options_.journal->Append(with_verdict);
  }
  SubmitResponse response;
  absl::MutexLock lock(&mutex_);
  journal_status_.Update(status);
  if (!status.ok()) return response;
  for (const Trajectory& trajectory : request.trajectories()) {
    response.add_acknowledged_episode_ids(trajectory.episode_id());
  }
  for (Trajectory& trajectory : fresh) {
    if (table_.FindSpec(trajectory.episode_id()) != nullptr) table_.Commit(std::move(trajectory));
  }
  return response;
}

std::vector<Trajectory> RolloutDesk::TakeFresh(const SubmitRequest& request) {
  std::vector<Trajectory> fresh;
  for (const Trajectory& trajectory : request.trajectories()) {
    const EpisodeSpec* spec = table_.FindSpec(trajectory.episode_id());
    if (spec == nullptr) continue;  // of an earlier step: no longer wanted
    if (table_.IsCommitted(trajectory.episode_id())) {
      table_.Commit(trajectory);  // counts the duplicate
      continue;
    }
    if (absl::Status status = CheckTrajectory(trajectory, *spec, options_.vocabulary_size);
        !status.ok()) {
      LogError(status.message());
      table_.Refuse(trajectory.episode_id());
      continue;
    }
    fresh.push_back(trajectory);
  }
  return fresh;
}

absl::StatusOr<std::vector<Trajectory>> RolloutDesk::OpenJournal(const StepPlan& plan) {
  if (options_.journal == nullptr) return std::vector<Trajectory>();
  JournalOrigin origin;
  origin.set_config_digest(options_.config_digest);
  origin.set_policy_version(plan.policy_version);
  origin.set_weights_crc32c(publisher_.newest_crc32c());
  return options_.journal->OpenStep(plan.step, origin);
}

int64_t RolloutDesk::Replay(std::vector<Trajectory> known) {
  int64_t replayed = 0;
  for (Trajectory& trajectory : known) {
    const EpisodeSpec* spec = table_.FindSpec(trajectory.episode_id());
    if (spec == nullptr || table_.IsCommitted(trajectory.episode_id())) continue;
    if (!CheckTrajectory(trajectory, *spec, options_.vocabulary_size).ok()) continue;
    table_.Commit(std::move(trajectory));
    ++replayed;
  }
  return replayed;
}

absl::StatusOr<CollectedStep> RolloutDesk::CollectStep(
    const StepPlan& plan, const std::function<bool(const CollectProgress&)>& should_go_on) {
  RW_CHECK(publisher_.newest_version() == plan.policy_version)
      << "the plan samples from version " << plan.policy_version << ", published is "
      << publisher_.newest_version();
  RW_ASSIGN_OR_RETURN(std::vector<Trajectory> known, OpenJournal(plan));
  int64_t replayed = 0;
  {
    absl::MutexLock lock(&mutex_);
    table_.StartStep(plan);
    replayed = Replay(std::move(known));
  }
  if (replayed > 0) {
    LogInfo("step=", plan.step, " | ", replayed, " of ", plan.episodes.size(),
            " episodes were there from before: taken from the journal");
  }
  AnswerWaiting();
  while (true) {
    CollectProgress progress;
    {
      absl::MutexLock lock(&mutex_);
      const auto is_complete = [this] {
        mutex_.AssertHeld();
        return table_.is_complete();
      };
      mutex_.AwaitWithTimeout(absl::Condition(&is_complete), absl::Milliseconds(200));
      progress = {table_.num_episodes(), table_.num_committed(), NumLiveWorkers()};
      if (table_.is_complete()) {
        CollectedStep step = table_.TakeStep();
        step.num_workers = progress.num_workers;
        step.replayed = replayed;
        step.worker_wait_s = std::exchange(waited_s_, 0.0) / std::max(1, progress.num_workers);
        return step;
      }
      RW_RETURN_IF_ERROR(journal_status_);
    }
    if (!should_go_on(progress)) {
      absl::MutexLock lock(&mutex_);
      table_.CancelStep();
      return absl::CancelledError("the step was given up before its episodes were complete");
    }
  }
}

void RolloutDesk::Finish(absl::Duration patience) {
  {
    absl::MutexLock lock(&mutex_);
    is_finished_ = true;
    table_.CancelStep();
  }
  AnswerWaiting();
  absl::MutexLock lock(&mutex_);
  const auto all_know = [this] {
    mutex_.AssertHeld();
    return std::all_of(workers_.begin(), workers_.end(), [this](const auto& entry) {
      return entry.second.knows_finished ||
             options_.clock->Now() - entry.second.last_heard > options_.lease_timeout;
    });
  };
  mutex_.AwaitWithTimeout(absl::Condition(&all_know), patience);
}

void RolloutDesk::ClerkLoop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      absl::MutexLock lock(&mutex_);
      table_.Expire(options_.clock->Now());
    }
    AnswerWaiting();
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](std::stop_token* token) { return token->stop_requested(); }, &stop),
        kClerkPeriod);
  }
}

void RolloutDesk::AnswerWaiting() {
  Replies replies;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      LeaseResponse response;
      if (it->is_gone() || FillResponse(it->request, response) || absl::Now() >= it->give_up) {
        replies.emplace_back(std::move(it->reply), std::move(response));
        it = waiting_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (auto& [reply, response] : replies) reply(std::move(response));
}

void RolloutDesk::NoteWait(const LeaseRequest& request) {
  double& known_s = workers_[request.worker().worker_id()].waited_s;
  if (known_s >= 0) waited_s_ += std::max(0.0, request.waited_for_lease_s() - known_s);
  known_s = request.waited_for_lease_s();
}

void RolloutDesk::NoteTrajectory(const WorkerIdentity& identity, const Trajectory& trajectory) {
  Worker& worker = workers_[identity.worker_id()];
  ++worker.trajectories;
  worker.pool_failures += trajectory.status() == EPISODE_STATUS_POOL_FAILED;
  for (const int64_t version : trajectory.policy_versions()) {
    worker.policy_version = std::max(worker.policy_version, version);
  }
}

WorkersView RolloutDesk::ViewWorkers() const {
  WorkersView view;
  view.newest_version = publisher_.newest_version();
  absl::MutexLock lock(&mutex_);
  const absl::Time now = options_.clock->Now();
  view.workers.reserve(workers_.size());
  for (const auto& [id, worker] : workers_) {
    const absl::Duration silence = now - worker.last_heard;
    view.workers.push_back({.id = id,
                            .code_version = worker.code_version,
                            .silent_s = absl::ToDoubleSeconds(silence),
                            .is_live = silence < options_.lease_timeout,
                            .policy_version = worker.policy_version,
                            .trajectories = worker.trajectories,
                            .pool_failures = worker.pool_failures,
                            .active_episodes = worker.active_episodes,
                            .waited_s = std::max(0.0, worker.waited_s)});
  }
  return view;
}

void RolloutDesk::Hear(const WorkerIdentity& identity) {
  Worker& worker = workers_[identity.worker_id()];
  if (worker.epoch != identity.worker_epoch()) worker.waited_s = -1;
  worker.epoch = identity.worker_epoch();
  worker.last_heard = options_.clock->Now();
  worker.knows_finished = false;
}

int RolloutDesk::NumLiveWorkers() const {
  const absl::Time now = options_.clock->Now();
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return now - entry.second.last_heard < options_.lease_timeout;
  }));
}

}  // namespace routewright
