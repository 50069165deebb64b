#include "rollout_workers/worker/worker.h"

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "rollout_workers/worker/clock_offset.h"
#include "rollout_workers/worker/learner_retry.h"
#include "rollout_workers/worker/weight_assembly.h"

namespace routewright {
namespace {

constexpr absl::Duration kHeartbeat = absl::Seconds(1);
constexpr absl::Duration kLeaveTimeout = absl::Seconds(1);
constexpr absl::Duration kResubmitPause = absl::Milliseconds(300);
constexpr size_t kMaxSubmitBytes = 16 << 20;
constexpr int kMaxWeightAttempts = 3;  // of a version whose bytes arrive damaged

}  // namespace

Worker::Worker(WorkerOptions options, const EpisodeContext* context, const ParameterLayout* layout,
               GeneratorFactory make_generator, PoolClient* pool, LearnerClient* learner)
    : options_(std::move(options)),
      layout_(layout),
      learner_(learner),
      exchange_(options_.config.max_episodes(), [pool] { pool->Wake(); }),
      loop_(context, std::move(make_generator), pool, options_.identity, &exchange_),
      metrics_(options_.exporter) {}

absl::Status Worker::Run() {
  absl::Status status = Join(stop_.get_token());
  if (status.ok()) {
    const std::stop_token stop = stop_.get_token();
    const std::jthread leases([this, stop] { LeaseLoop(stop); });
    const std::jthread weights([this, stop] { WeightLoop(stop); });
    const std::jthread submits([this, stop] { SubmitLoop(stop); });
    exchange_.End(loop_.Run());
    stop_.request_stop();
    learner_->Shutdown();
  }
  Leave();
  if (exchange_.is_run_finished()) LogInfo("the run is finished");
  if (stop_.stop_requested() && absl::IsCancelled(status)) return absl::OkStatus();
  return status.ok() ? exchange_.status() : status;
}

void Worker::Stop() {
  stop_.request_stop();
  exchange_.End(absl::OkStatus());
  learner_->Shutdown();
}

// Registers, again and again until the learner answers. True to the epoch: a learner that was
// started again is another.
absl::Status Worker::Join(std::stop_token stop) {
  RegisterRequest request;
  *request.mutable_worker() = options_.identity;
  request.set_code_version(options_.code_version);
  request.set_config_digest(options_.config_digest);
  absl::StatusOr<RegisterResponse> response;
  bool is_first = true;
  const absl::Status status = RetryTransportFailures(
      [&] {
        response = learner_->Register(request);
        const absl::Status& status = response.status();
        if (IsTransportFailure(status) && std::exchange(is_first, false)) {
          LogInfo("no learner answers, trying again for ", absl::FormatDuration(patience()), ": ",
                  status.message());
        }
        return status;
      },
      patience(), stop);
  if (IsTransportFailure(status)) {
    return absl::UnavailableError(
        absl::StrCat(status.message(), "; no learner for ", options_.config.reconnect_timeout_s(),
                     " s (worker.reconnect_timeout_s): start it, or name its address with "
                     "--learner"));
  }
  RW_RETURN_IF_ERROR(status);
  LogInfo("registered run=", response->run_name(), " policy_version=", response->policy_version(),
          " learner_epoch=", response->learner_epoch());
  if (learner_epoch_ != 0 && learner_epoch_ != response->learner_epoch()) {
    LogWarning("the learner was started again: everything of the one before is dropped");
  }
  learner_epoch_ = response->learner_epoch();
  exchange_.SetLearner(learner_epoch_);
  return absl::OkStatus();
}

void Worker::LeaseLoop(std::stop_token stop) {
  ClockOffset clock_offset;
  while (!exchange_.is_over()) {
    const WorkerExchange::LeaseNeeds needs = exchange_.WaitForSlots(kHeartbeat);
    LeaseRequest request;
    *request.mutable_worker() = options_.identity;
    request.set_max_episodes(needs.free_slots);
    request.set_wait_ms(
        needs.free_slots > 0 ? static_cast<int>(absl::ToInt64Milliseconds(kHeartbeat)) : 0);
    request.mutable_active_episode_ids()->Assign(needs.active_ids.begin(), needs.active_ids.end());
    request.set_learner_epoch(needs.learner_epoch);
    request.set_waited_for_lease_s(absl::ToDoubleSeconds(needs.waited_for_lease));
    metrics_.ShowLeases(static_cast<int>(needs.active_ids.size()), needs.waited_for_lease);
    const absl::Time asked = absl::Now();
    const absl::StatusOr<LeaseResponse> response = learner_->LeaseEpisodes(request);
    if (response.ok()) {
      if (response->received_us() > 0)
        clock_offset.Observe(asked, absl::FromUnixMicros(response->received_us()),
                             absl::FromUnixMicros(response->sent_us()), absl::Now());
      exchange_.SetClockOffset(clock_offset.offset());
      if (response->leases_size() > 0) {
        LogInfo("leased episodes=", response->leases_size(),
                " policy_version=", response->policy_version());
      }
      exchange_.Accept(*response);
      continue;
    }
    if (stop.stop_requested()) return;
    absl::Status status = response.status();
    LogWarning("no leases: ", status.message());
    metrics_.CountLeaseFailure();
    if (IsTransportFailure(status) || absl::IsAborted(status)) status = Join(stop);
    clock_offset = ClockOffset();  // it may be another learner's now
    if (!status.ok()) return exchange_.End(std::move(status));
  }
}

void Worker::WeightLoop(std::stop_token stop) {
  while (!exchange_.is_over()) {
    const auto wanted = exchange_.WaitForWantedVersion(kHeartbeat);
    if (!wanted.has_value()) continue;
    auto weights = FetchWeights(wanted->policy_version, stop);
    if (weights.ok()) {
      LogInfo("weights fetched policy_version=", wanted->policy_version);
      exchange_.DeliverWeights(*wanted, *std::move(weights));
      metrics_.ShowPolicyVersion(wanted->policy_version);
    } else if (absl::IsNotFound(weights.status())) {
      LogWarning("weights not fetched: ", weights.status().message());
      exchange_.WithdrawVersion(*wanted);
    } else if (!stop.stop_requested() &&
               !IsTransportFailure(weights.status())) {  // the lease thread judges transport
      return exchange_.End(weights.status());
    }
  }
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> Worker::FetchWeights(int64_t policy_version,
                                                                          std::stop_token stop) {
  absl::StatusOr<std::shared_ptr<const PolicyWeights>> weights;
  const auto fetch_once = [&]() -> absl::Status {
    RW_ASSIGN_OR_RETURN(const WeightManifest manifest, learner_->GetWeightManifest(policy_version));
    RW_ASSIGN_OR_RETURN(WeightAssembly assembly, WeightAssembly::Begin(manifest, *layout_));
    while (!assembly.is_complete()) {
      const uint64_t before = assembly.next_offset();
      FetchWeightsRequest request;
      request.set_policy_version(manifest.policy_version());
      request.set_first_offset(before);
      const absl::Status status = learner_->FetchWeights(
          request, [&](const WeightChunk& chunk) { return assembly.Add(chunk); });
      const bool goes_on =
          assembly.next_offset() > before && (status.ok() || IsTransportFailure(status));
      if (assembly.is_complete() || goes_on) continue;
      return status.ok() ? absl::UnavailableError("the weight stream ended early") : status;
    }
    weights = assembly.Finish();
    return weights.status();
  };
  absl::Status status;
  for (int attempt = 0; attempt < kMaxWeightAttempts; ++attempt) {
    status = RetryTransportFailures(fetch_once, patience(), stop);
    if (!absl::IsDataLoss(status)) break;
    LogWarning("weights arrived damaged: ", status.message());
  }
  if (!status.ok()) return status;
  return weights;
}

void Worker::SubmitLoop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const WorkerExchange::Finished finished =
        exchange_.WaitForFinished(kMaxSubmitBytes, kHeartbeat);
    if (finished.trajectories.empty()) {
      if (exchange_.is_over()) return;
      continue;
    }
    SubmitRequest request;
    *request.mutable_worker() = options_.identity;
    request.mutable_trajectories()->Assign(finished.trajectories.begin(),
                                           finished.trajectories.end());
    request.set_learner_epoch(finished.learner_epoch);
    const absl::StatusOr<SubmitResponse> response = learner_->SubmitTrajectories(request);
    if (response.ok()) {
      const std::set<std::string> acknowledged(response->acknowledged_episode_ids().begin(),
                                               response->acknowledged_episode_ids().end());
      for (const Trajectory& trajectory : finished.trajectories) {
        if (acknowledged.contains(trajectory.episode_id())) metrics_.CountEpisode(trajectory);
      }
      exchange_.Acknowledge(finished.learner_epoch, {acknowledged.begin(), acknowledged.end()});
      if (response->acknowledged_episode_ids_size() > 0) continue;
    } else if (!IsTransportFailure(response.status()) && !absl::IsAborted(response.status()) &&
               !stop.stop_requested()) {  // another learner answers: the lease thread registers
      return exchange_.End(response.status());
    }
    PauseUnlessStopped(kResubmitPause, stop);  // not acknowledged: again
  }
}

// What was leased and is not finished goes back at once, so that nobody waits
// for the leases to expire.
void Worker::Leave() {
  if (exchange_.is_run_finished() || learner_epoch_ == 0) return;
  SubmitRequest request;
  *request.mutable_worker() = options_.identity;
  WorkerExchange::Finished finished =
      exchange_.WaitForFinished(kMaxSubmitBytes, absl::ZeroDuration());
  request.set_learner_epoch(finished.learner_epoch);
  for (Trajectory& trajectory : finished.trajectories) {
    *request.add_trajectories() = std::move(trajectory);
  }
  for (Trajectory& trajectory : loop_.Abandon())
    *request.add_trajectories() = std::move(trajectory);
  if (request.trajectories().empty()) return;
  const absl::Status status = learner_->SubmitOnLeaving(request, kLeaveTimeout);
  LogInfo("left episodes=", request.trajectories_size(),
          status.ok() ? "" : ", which will be leased again when their leases expire");
}

}  // namespace routewright
