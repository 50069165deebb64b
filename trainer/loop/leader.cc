#include "trainer/loop/leader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/money/money.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/algorithm/credit.h"
#include "trainer/experience/episode_plan.h"
#include "trainer/live_page/live_state.h"
#include "trainer/loop/demonstration_source.h"
#include "trainer/loop/episode_collector.h"
#include "trainer/record/prometheus_metrics.h"
#include "trainer/record/trajectory_metrics.h"
#include "trainer/update/update_metrics.h"

namespace routewright {
namespace {

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

}  // namespace

Leader::Leader(const LearnerParts& parts, const ModelConfig& model, PolicyUpdate* update,
               StateSaver* saver)
    : parts_(parts),
      config_(*parts.config),
      model_(model),
      update_(update),
      folder_(*parts.files, RunFolder(config_), parts.submission),
      kl_(config_.trainer().loss()),
      tracer_(*parts.files, folder_, config_),
      followers_(parts.communicator),
      checkpoints_(parts, model, saver, &followers_) {}

absl::Status Leader::Start(const CheckpointManifest* manifest) {
  if (manifest != nullptr) step_ = manifest->step();  // for the record, should this fail
  RW_RETURN_IF_ERROR(folder_.Prepare(ConfigToYaml(config_), parts_.environment));
  RW_RETURN_IF_ERROR(OpenBatches());
  if (manifest != nullptr) RW_RETURN_IF_ERROR(RestoreState(*manifest));
  state_ = CaptureState();
  RW_ASSIGN_OR_RETURN(
      recorder_, StepRecorder::Open(*parts_.files, folder_, config_, step_, parts_.describe_episode,
                                    parts_.exporter, parts_.live_state));
  RW_RETURN_IF_ERROR(folder_.WriteState("running", step_, ""));
  if (parts_.progress_out != nullptr) {
    progress_.emplace(ChooseProgressStyle(), config_.trainer().steps(), parts_.progress_out);
  }
  if (step_ >= config_.trainer().steps()) {
    LogInfo("step=", step_, " | the run has all its steps already: raise trainer.steps to go on");
    const Metrics last = batches_->EvaluationAt(step_);  // whose line is no step's yet
    return last.values().empty() ? absl::OkStatus() : RecordEvaluation(last, /*trajectories=*/{});
  }
  RW_RETURN_IF_ERROR(batches_->Open());
  return Publish();
}

absl::Status Leader::OpenBatches() {
  if (FactsOf(config_.trainer()).learns_from_demonstrations()) {
    RW_ASSIGN_OR_RETURN(batches_, DemonstrationSource::Load(config_, model_));
  } else {
    RW_ASSIGN_OR_RETURN(batches_, EpisodeCollector::Load(parts_, model_, &folder_, &followers_));
  }
  return absl::OkStatus();
}

absl::Status Leader::RestoreState(const CheckpointManifest& manifest) {
  const LearnerState& state = manifest.learner();
  step_ = manifest.step();
  checkpoints_.GoOnFrom(step_);
  // 0: of a run without a penalty, from which none could grow.
  if (kl_.adapts() && state.kl_coefficient() > 0) kl_.Restore(state.kl_coefficient());
  return batches_->Restore(state);
}

LearnerState Leader::CaptureState() const {
  LearnerState state;
  state.set_kl_coefficient(kl_.coefficient());
  batches_->Save(state);
  return state;
}

void Leader::RecordFailure(const absl::Status& why) {
  const absl::Status written = folder_.WriteState("failed", step_, std::string(why.message()));
  if (!written.ok()) {
    LogWarning("that the run failed is not on record: ", written.message());
  } else if (trajectory_source() != nullptr && absl::IsResourceExhausted(why)) {
    // Workers that do not hear of it would go on spending, until they give the learner up.
    const absl::Status told = trajectory_source()->Finish();
    if (!told.ok()) LogWarning("the workers were not told: ", told.message());
  }
}

absl::StatusOr<RunOutcome> Leader::Run() {
  const CheckpointConfig& checkpoint = config_.trainer().checkpoint();
  while (step_ < config_.trainer().steps()) {
    if (parts_.is_stop_requested()) return Stop(/*is_preempted=*/true);
    RW_ASSIGN_OR_RETURN(const bool is_made, MakeStep());
    if (!is_made) return Stop(/*is_preempted=*/true);
    if (step_ == config_.trainer().steps()) {
      if (const absl::Status status = EvaluateLast(); !status.ok()) return FailSaved(status);
    }
    const bool is_due = checkpoint.every_steps() > 0 && step_ % checkpoint.every_steps() == 0;
    if (is_due) RW_RETURN_IF_ERROR(SaveCheckpoint());
    RW_RETURN_IF_ERROR(FinishTrace());
  }
  return Stop(/*is_preempted=*/false);
}

absl::StatusOr<bool> Leader::MakeStep() {
  const absl::Time start = absl::Now();
  tracer_.Begin(step_);
  RW_RETURN_IF_ERROR(checkpoints_.Check(step_));
  RW_RETURN_IF_ERROR(ForgetJournal());
  auto collected = batches_->Collect(step_, tracer_.is_on(), progress());
  if (absl::IsCancelled(collected.status()) && parts_.is_stop_requested()) return false;
  if (!collected.ok()) return FailSaved(collected.status());
  tracer_.Keep(collected->trajectories);
  const double collect_s = SecondsSince(start);

  if (parts_.live_state != nullptr) parts_.live_state->ShowUpdating();
  const absl::Time update_start = absl::Now();
  StepMessage message{.kind = StepMessage::Kind::kUpdate,
                      .step = step_,
                      .kl_coefficient = kl_.coefficient(),
                      .is_traced = tracer_.is_on(),
                      .batch = std::move(collected->batch)};
  RW_RETURN_IF_ERROR(followers_.Tell(message));
  RW_ASSIGN_OR_RETURN(const UpdateMetrics update,
                      update_->Run(message.batch, message.step, message.kl_coefficient));
  const double update_s = SecondsSince(update_start);
  Metrics metrics = std::move(collected->metrics);
  metrics.Append(DescribeUpdate(config_.trainer(), update, message.kl_coefficient));
  if (update.policy.tokens > 0) {
    kl_.Update(update.policy.kl / update.policy.tokens,
               static_cast<int>(message.batch.num_trajectories()));
  }

  ++step_;
  parts_.communicator->BeginStep(step_);
  const absl::Time publish_start = absl::Now();
  if (step_ < config_.trainer().steps() || batches_->EvaluatesLast()) {
    RW_RETURN_IF_ERROR(Publish());
  }
  state_ = CaptureState();
  const double num_tokens = static_cast<double>(message.batch.num_tokens());
  metrics.Set("run/cost_usd", PicousdToUsd(batches_->cost_picousd()));
  metrics.Set("step/tokens", num_tokens);
  metrics.Set("trainer/wait_for_batch_s", collect_s);
  metrics.Set("step/update_s", update_s);
  metrics.Set("step/publish_s", SecondsSince(publish_start));
  metrics.Set("step/time_s", SecondsSince(start));
  metrics.Set("step/tokens_per_s", num_tokens / SecondsSince(start));
  checkpoints_.AddMetrics(metrics);
  RW_RETURN_IF_ERROR(RecordStep(metrics, collected->trajectories, [&](size_t place) {
    return TokenAdvantages(place, collected->places, message.batch, update.advantages);
  }));
  return true;
}

absl::Status Leader::FinishTrace() {
  if (!tracer_.is_on()) return absl::OkStatus();
  RW_RETURN_IF_ERROR(
      followers_.Tell({.kind = StepMessage::Kind::kTrace, .step = step_, .batch = {}}));
  return tracer_.Finish(*parts_.communicator);
}

// What the step that was just made leaves behind and shows.
absl::Status Leader::RecordStep(const Metrics& metrics, std::span<const Trajectory> trajectories,
                                const AdvantagesOf& advantages_of) {
  const ScopedSpan span("record");
  RW_RETURN_IF_ERROR(folder_.CheckIsOurs());
  RW_RETURN_IF_ERROR(folder_.RecordTrajectories("step", step_ - 1, trajectories,
                                                config_.trainer().record_trajectories(),
                                                config_.run().seed()));
  RW_RETURN_IF_ERROR(recorder_->Record(step_ - 1, metrics, trajectories, advantages_of));
  if (progress_) progress_->ShowStep(step_ - 1, metrics);
  return absl::OkStatus();
}

absl::Status Leader::EvaluateLast() {
  if (!batches_->EvaluatesLast()) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const auto trajectories, batches_->EvaluateLast(step_, progress()));
  if (!trajectories.has_value()) return absl::OkStatus();
  state_ = CaptureState();
  const Metrics metrics = batches_->EvaluationAt(step_);
  if (metrics.values().empty()) {
    LogWarning("step=", step_, " | the last weights are not evaluated, no episode got through: ",
               FirstPoolError(*trajectories));
  }
  RW_RETURN_IF_ERROR(folder_.RecordTrajectories("evaluation", step_, *trajectories,
                                                config_.trainer().record_trajectories(),
                                                config_.run().seed()));
  return RecordEvaluation(metrics, *trajectories);
}

absl::Status Leader::RecordEvaluation(Metrics metrics, std::span<const Trajectory> trajectories) {
  metrics.Set("run/cost_usd", PicousdToUsd(batches_->cost_picousd()));
  RW_RETURN_IF_ERROR(folder_.CheckIsOurs());
  RW_RETURN_IF_ERROR(recorder_->RecordEvaluation(step_, metrics, trajectories));
  if (progress_) progress_->ShowEvaluation(metrics);
  return absl::OkStatus();
}

absl::Status Leader::FailSaved(const absl::Status& why) {
  if (!checkpoints_.IsSaved(step_)) RW_RETURN_IF_ERROR(SaveCheckpoint());
  RW_RETURN_IF_ERROR(checkpoints_.Finish(step_));
  return why;
}

absl::Status Leader::Publish() {
  if (trajectory_source() == nullptr) return absl::OkStatus();
  const ScopedSpan span("publish weights");
  trajectory_source()->RetireWeights();
  RW_RETURN_IF_ERROR(
      followers_.Tell({.kind = StepMessage::Kind::kExport, .step = step_, .batch = {}}));
  RW_ASSIGN_OR_RETURN(auto policy, update_->ExportPolicy());
  return trajectory_source()->PublishWeights(PolicyVersionAfter(step_), std::move(policy));
}

absl::Status Leader::SaveCheckpoint() {
  RW_RETURN_IF_ERROR(folder_.CheckIsOurs());
  return checkpoints_.Save(step_, PolicyVersionAfter(step_), state_);
}

absl::Status Leader::ForgetJournal() {
  if (trajectory_source() == nullptr) return absl::OkStatus();
  const std::optional<int64_t> step = checkpoints_.TakeSupersededStep();
  return step.has_value() ? trajectory_source()->ForgetBefore(*step) : absl::OkStatus();
}

absl::StatusOr<RunOutcome> Leader::Stop(bool is_preempted) {
  progress_.reset();
  if (trajectory_source() != nullptr) trajectory_source()->RetireWeights();
  if (!checkpoints_.IsSaved(step_)) RW_RETURN_IF_ERROR(SaveCheckpoint());
  RW_RETURN_IF_ERROR(checkpoints_.Finish(step_));
  RW_RETURN_IF_ERROR(followers_.Tell({.kind = StepMessage::Kind::kStop,
                                      .step = step_,
                                      .is_preempted = is_preempted,
                                      .batch = {}}));
  if (trajectory_source() != nullptr) RW_RETURN_IF_ERROR(trajectory_source()->Finish());
  tracer_.DropRequests();
  RW_RETURN_IF_ERROR(folder_.WriteState(is_preempted ? "preempted" : "finished", step_, ""));
  return is_preempted ? RunOutcome::kPreempted : RunOutcome::kFinished;
}

}  // namespace routewright
