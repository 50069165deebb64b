#include "rollout_workers/episode/episode_runner.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {

EpisodeRunner::EpisodeRunner(const EpisodeContext* context, Generator* generator, PoolClient* pool)
    : context_(context), generator_(generator), pool_(pool) {}

absl::Status EpisodeRunner::Add(const EpisodeSpec& spec, int attempt, absl::Time leased) {
  const std::string& id = spec.episode_id();
  if (!spec.forced_model().empty() && context_->models->Find(spec.forced_model()) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "episode ", id, ": forced_model '", spec.forced_model(), "' is no model of pool.models"));
  }
  const auto [running, is_new] =
      episodes_.try_emplace(id, Running{.episode = Episode(context_, spec, attempt),
                                        .tracer = EpisodeTracer(spec, leased),
                                        .call_id = ""});
  if (!is_new) return absl::AlreadyExistsError(absl::StrCat("episode ", id, " is running already"));
  return Execute(id, running->second.episode.Begin());
}

std::optional<Trajectory> EpisodeRunner::Cancel(const std::string& episode_id) {
  const auto found = episodes_.find(episode_id);
  if (found == episodes_.end()) return std::nullopt;
  if (const std::string& call_id = found->second.call_id; !call_id.empty()) {
    calls_.erase(call_id);
    if (delayed_calls_.erase(call_id) == 0) {
      cancelled_calls_.insert(call_id);
      pool_->Cancel(call_id);
    }
  }
  generator_->EndEpisode(episode_id);
  Trajectory trajectory = found->second.episode.End(EPISODE_STATUS_CANCELLED);
  found->second.tracer.Finish(trajectory);
  episodes_.erase(found);
  return trajectory;
}

absl::StatusOr<std::vector<Trajectory>> EpisodeRunner::Step(absl::Duration wait) {
  const bool may_wait = generator_->is_idle() && finished_.empty();
  RW_RETURN_IF_ERROR(TakePoolCalls(may_wait ? wait : absl::ZeroDuration()));
  RW_RETURN_IF_ERROR(AdvanceRounds());
  return std::exchange(finished_, {});
}

std::vector<std::string> EpisodeRunner::RunningIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, running] : episodes_) ids.push_back(id);
  return ids;
}

absl::Status EpisodeRunner::TakePoolCalls(absl::Duration wait) {
  for (PoolCall& call : pool_->TakeFinished(wait)) {
    const std::string call_id = call.call_id();
    if (cancelled_calls_.erase(call_id) > 0) {
      if (auto delayed = delayed_calls_.extract(call_id); !delayed.empty()) {
        RW_RETURN_IF_ERROR(pool_->Start(std::move(delayed.mapped())));
      }
      continue;
    }
    const auto wanted = calls_.extract(call_id);
    if (wanted.empty()) continue;
    const std::string& episode_id = wanted.mapped();
    Running& running = episodes_.at(episode_id);
    running.call_id.clear();
    running.tracer.CallEnds(call);
    RW_RETURN_IF_ERROR(Execute(episode_id, running.episode.PoolCallFinished(std::move(call))));
  }
  return pool_->status();
}

absl::Status EpisodeRunner::AdvanceRounds() {
  if (generator_->is_idle()) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const std::vector<RoundResult> results, generator_->Step());
  for (const RoundResult& result : results) {
    const auto found = episodes_.find(result.episode_id);
    if (found == episodes_.end()) continue;
    found->second.tracer.RoundEnds(result);
    RW_RETURN_IF_ERROR(Execute(result.episode_id, found->second.episode.RoundFinished(result)));
  }
  return absl::OkStatus();
}

absl::Status EpisodeRunner::Execute(const std::string& episode_id, EpisodeCommand command) {
  return std::visit([&](auto&& wanted) { return Do(episode_id, std::move(wanted)); },
                    std::move(command));
}

absl::Status EpisodeRunner::Do(const std::string& episode_id, RoundRequest request) {
  episodes_.at(episode_id).tracer.WaitBegins();
  const absl::Status status = generator_->StartRound(std::move(request));
  if (!absl::IsOutOfRange(status)) return status;
  // The policy has no room for this sequence, whatever the config allows.
  return Do(episode_id, episodes_.at(episode_id).episode.End(EPISODE_STATUS_OVERFLOW));
}

absl::Status EpisodeRunner::Do(const std::string& episode_id, PoolRequest request) {
  const std::string call_id = request.call_id;
  Running& running = episodes_.at(episode_id);
  running.call_id = call_id;
  running.tracer.WaitBegins();
  request.is_traced = running.tracer.is_on();
  calls_[call_id] = episode_id;
  if (cancelled_calls_.count(call_id) > 0) {
    delayed_calls_[call_id] = std::move(request);
    return absl::OkStatus();
  }
  return pool_->Start(std::move(request));
}

absl::Status EpisodeRunner::Do(const std::string& episode_id, Trajectory trajectory) {
  generator_->EndEpisode(episode_id);
  episodes_.at(episode_id).tracer.Finish(trajectory);
  episodes_.erase(episode_id);
  finished_.push_back(std::move(trajectory));
  return absl::OkStatus();
}

}  // namespace routewright
