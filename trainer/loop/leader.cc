#include "trainer/loop/leader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/dataset.h"
#include "common/log.h"
#include "common/money/money.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/algorithm/credit.h"
#include "trainer/experience/episode_plan.h"
#include "trainer/record/step_statistics.h"
#include "trainer/record/trainer_figures.h"
#include "trainer/update/update_metrics.h"

namespace routewright {
namespace {

constexpr absl::Duration kOwnerCheckEvery = absl::Seconds(1);

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

}  // namespace

Leader::Leader(const LearnerParts& parts, const ModelConfig& model, PolicyUpdate* update,
               StateSaver* saver)
    : parts_(parts),
      config_(*parts.config),
      model_(model),
      update_(update),
      folder_(*parts.files, RunFolder(config_), parts.submission),
      rewards_(config_.reward()),
      kl_(config_.trainer().loss()),
      tracer_(*parts.files, folder_, config_),
      budget_(config_),
      followers_(parts.communicator),
      checkpoints_(parts, model, saver, &followers_) {}

Leader::~Leader() {
  if (parts_.live_state != nullptr) parts_.live_state->WatchWorkers({});  // source_ dies now
}

bool Leader::is_supervised() const {
  return FactsOf(config_.trainer()).learns_from_demonstrations();
}

absl::Status Leader::Start(const CheckpointManifest* manifest) {
  if (manifest != nullptr) step_ = manifest->step();  // for the record, should this fail
  RW_RETURN_IF_ERROR(folder_.Prepare(ConfigToYaml(config_), parts_.environment));
  RW_RETURN_IF_ERROR(LoadData());
  if (manifest != nullptr) RW_RETURN_IF_ERROR(RestoreState(*manifest));
  state_ = CaptureState();
  RW_ASSIGN_OR_RETURN(
      watch_, RunWatch::Open(*parts_.files, folder_, config_, step_, parts_.describe_episode,
                             parts_.exporter, parts_.live_state));
  RW_RETURN_IF_ERROR(folder_.WriteState("running", step_, ""));
  if (parts_.progress_out != nullptr) {
    progress_.emplace(ChooseProgressStyle(), config_.trainer().steps(), parts_.progress_out);
  }
  if (step_ >= config_.trainer().steps()) {
    LogInfo("step=", step_, " | the run has all its steps already: raise trainer.steps to go on");
    const Metrics last = held_out_.FiguresOf(step_);  // whose line is no step's before this one
    return last.values().empty() ? absl::OkStatus() : RecordEvaluation(last, /*trajectories=*/{});
  }
  if (is_supervised()) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(source_, parts_.open_source(model_.vocabulary_size));
  if (parts_.live_state != nullptr) {
    parts_.live_state->WatchWorkers([this] { return source_->ViewWorkers(); });
  }
  return Publish();
}

absl::Status Leader::LoadData() {
  const uint64_t seed = config_.run().seed();
  if (is_supervised()) {
    const std::vector<std::string> paths(config_.data().demonstrations().begin(),
                                         config_.data().demonstrations().end());
    RW_ASSIGN_OR_RETURN(demonstrations_, Demonstrations::Load(paths, model_.vocabulary_size, seed));
    return absl::OkStatus();
  }
  RW_ASSIGN_OR_RETURN(std::vector<Question> train, LoadDatasets(config_.data().train()));
  questions_.emplace(std::move(train), seed);
  RW_ASSIGN_OR_RETURN(held_out_, HeldOut::Load(config_));
  return absl::OkStatus();
}

absl::Status Leader::RestoreState(const CheckpointManifest& manifest) {
  const LearnerState& state = manifest.learner();
  step_ = manifest.step();
  checkpoints_.GoOnFrom(step_);
  ledger_total_picousd_ = state.ledger_total_picousd();
  episodes_committed_ = state.episodes_committed();
  held_out_.Restore(state);
  kl_.Restore(state.kl_coefficient());
  rewards_.Restore(state.cost_windows());
  return is_supervised()
             ? demonstrations_->Restore(state.question_cursor(), state.question_order_digest())
             : questions_->Restore(state.question_cursor(), state.question_order_digest());
}

LearnerState Leader::CaptureState() const {
  LearnerState state;
  state.set_question_cursor(is_supervised() ? demonstrations_->cursor() : questions_->cursor());
  state.set_question_order_digest(is_supervised() ? demonstrations_->digest()
                                                  : questions_->digest());
  state.set_ledger_total_picousd(ledger_total_picousd_);
  state.set_episodes_committed(episodes_committed_);
  state.set_kl_coefficient(kl_.coefficient());
  held_out_.Save(state);
  rewards_.Save(state.mutable_cost_windows());
  return state;
}

void Leader::RecordFailure(const absl::Status& why) {
  const absl::Status written = folder_.WriteState("failed", step_, std::string(why.message()));
  if (!written.ok()) {
    LogWarning("that the run failed is not on record: ", written.message());
  } else if (source_ != nullptr && absl::IsResourceExhausted(why)) {
    // Workers that do not hear of it would go on spending, until they give the learner up.
    const absl::Status told = source_->Finish();
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
  auto collected = is_supervised() ? CollectDemonstrations() : CollectEpisodes();
  if (absl::IsCancelled(collected.status()) && parts_.is_stop_requested()) return false;
  if (!collected.ok()) return FailSaved(collected.status());
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
  if (step_ < config_.trainer().steps() || held_out_.IsDueAfterLast()) {
    RW_RETURN_IF_ERROR(Publish());
  }
  state_ = CaptureState();
  const double num_tokens = static_cast<double>(message.batch.num_tokens());
  metrics.Set("run/cost_usd", PicousdToUsd(ledger_total_picousd_));
  metrics.Set("step/tokens", num_tokens);
  metrics.Set("trainer/wait_for_batch_s", collect_s);
  metrics.Set("step/update_s", update_s);
  metrics.Set("step/publish_s", SecondsSince(publish_start));
  metrics.Set("step/time_s", SecondsSince(start));
  metrics.Set("step/tokens_per_s", num_tokens / SecondsSince(start));
  checkpoints_.Report(metrics);
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
  RW_RETURN_IF_ERROR(watch_->Record(step_ - 1, metrics, trajectories, advantages_of));
  if (progress_) progress_->ShowStep(step_ - 1, metrics);
  return absl::OkStatus();
}

absl::StatusOr<Leader::Collected> Leader::CollectDemonstrations() {
  const ScopedSpan span("collect");
  Collected collected;
  collected.batch = demonstrations_->Draw(config_.trainer().questions_per_step());
  return collected;
}

absl::StatusOr<Leader::Collected> Leader::CollectEpisodes() {
  RW_RETURN_IF_ERROR(budget_.Check(ledger_total_picousd_));
  const std::vector<Question> train = questions_->Draw(config_.trainer().questions_per_step());
  const bool evaluates = held_out_.IsDueIn(step_);
  StepPlan plan = PlanStep(config_, step_, policy_version(), train,
                           evaluates ? held_out_.questions() : std::vector<Question>());
  for (EpisodeSpec& spec : plan.episodes) spec.set_is_traced(tracer_.is_on());
  absl::StatusOr<CollectedStep> step = CollectPlanned(plan);
  RW_RETURN_IF_ERROR(collect_status_);
  RW_RETURN_IF_ERROR(step.status());
  CommitTrajectories(step->trajectories);
  tracer_.Keep(step->trajectories);
  RW_ASSIGN_OR_RETURN(
      LearnableBatch selected,
      SelectBatch(config_.trainer(), step->trajectories, model_.vocabulary_size, policy_version()));
  Collected collected;
  collected.batch = std::move(selected.batch);
  collected.places = std::move(selected.places);
  collected.trajectories = std::move(step->trajectories);
  RW_RETURN_IF_ERROR(CheckNotEmpty(collected));
  collected.metrics = TrajectoryMetrics(config_.pool(), collected.trajectories);
  if (evaluates) {
    held_out_.Record(step_, collected.metrics);
  } else if (held_out_.IsDone(step_)) {  // by a training that ended here, and now goes on
    collected.metrics.Append(held_out_.FiguresOf(step_));
  }
  collected.metrics.Set("episode/left_out", selected.left_out);
  collected.metrics.Set("worker/wait_for_lease_s", step->worker_wait_s);
  if (!config_.run().deterministic()) {  // such a run's metrics say nothing of who ran it
    if (budget_.is_limited()) collected.metrics.Set("run/budget_used", budget_.used_share());
    collected.metrics.Set("workers/count", step->num_workers);
    collected.metrics.Set("workers/leases_expired", static_cast<double>(step->leases_expired));
    collected.metrics.Set("workers/duplicates", static_cast<double>(step->duplicates));
    collected.metrics.Set("workers/replayed", static_cast<double>(step->replayed));
  }
  return collected;
}

absl::StatusOr<CollectedStep> Leader::CollectPlanned(const StepPlan& plan) {
  ScopedSpan span("collect episodes");
  span.AddDetail("episodes", absl::StrCat(plan.episodes.size()));
  return source_->CollectStep(
      plan, [this](const CollectProgress& progress) { return ShouldGoOn(progress); });
}

absl::Status Leader::EvaluateLast() {
  if (!held_out_.IsDueAfterLast()) return absl::OkStatus();
  const auto collect = [&]() -> absl::StatusOr<CollectedStep> {
    collect_status_ = budget_.Check(ledger_total_picousd_);
    RW_RETURN_IF_ERROR(collect_status_);
    return CollectPlanned(
        PlanStep(config_, step_, policy_version(), /*train_questions=*/{}, held_out_.questions()));
  };
  absl::StatusOr<CollectedStep> step = collect();
  const bool is_spent = absl::IsResourceExhausted(collect_status_);
  if (is_spent || (absl::IsCancelled(step.status()) && parts_.is_stop_requested())) {
    LogWarning("step=", step_, " | the last weights are not evaluated: ",
               is_spent ? collect_status_.message() : "a stop signal came",
               "; `routewright eval` on the last checkpoint does it");
    return absl::OkStatus();
  }
  RW_RETURN_IF_ERROR(collect_status_);
  RW_RETURN_IF_ERROR(step.status());
  CommitTrajectories(step->trajectories);
  held_out_.Record(step_, TrajectoryMetrics(config_.pool(), step->trajectories));
  state_ = CaptureState();
  const Metrics metrics = held_out_.FiguresOf(step_);
  if (metrics.values().empty()) {
    LogWarning("step=", step_, " | the last weights are not evaluated, no episode got through: ",
               FirstPoolError(step->trajectories));
  }
  RW_RETURN_IF_ERROR(folder_.RecordTrajectories("evaluation", step_, step->trajectories,
                                                config_.trainer().record_trajectories(),
                                                config_.run().seed()));
  return RecordEvaluation(metrics, step->trajectories);
}

absl::Status Leader::RecordEvaluation(Metrics metrics, std::span<const Trajectory> trajectories) {
  metrics.Set("run/cost_usd", PicousdToUsd(ledger_total_picousd_));
  RW_RETURN_IF_ERROR(folder_.CheckIsOurs());
  RW_RETURN_IF_ERROR(watch_->RecordEvaluation(step_, metrics, trajectories));
  if (progress_) progress_->ShowEvaluation(metrics);
  return absl::OkStatus();
}

absl::Status Leader::FailSaved(const absl::Status& why) {
  if (!checkpoints_.IsSaved(step_)) RW_RETURN_IF_ERROR(SaveCheckpoint());
  RW_RETURN_IF_ERROR(checkpoints_.Finish(step_));
  return why;
}

bool Leader::ShouldGoOn(const CollectProgress& progress) {
  const absl::Time now = absl::Now();
  // The other ranks wait in a broadcast, whose deadline must not pass while
  // episodes take their time.
  const absl::Duration quiet = absl::Seconds(config_.trainer().communicator().deadline_s()) / 4;
  if (followers_.are_there() && followers_.silence() > quiet) {
    collect_status_ = followers_.Tell({.kind = StepMessage::Kind::kWait, .batch = {}});
    if (!collect_status_.ok()) return false;
  }
  if (now - last_owner_check_ > kOwnerCheckEvery) {
    last_owner_check_ = now;
    collect_status_ = folder_.CheckIsOurs();
    if (!collect_status_.ok()) return false;
  }
  collect_status_ = budget_.Check(ledger_total_picousd_);
  if (!collect_status_.ok()) return false;
  if (parts_.live_state != nullptr) parts_.live_state->ShowCollecting(progress);
  if (parts_.exporter != nullptr) ShowWorkers(progress.num_workers, *parts_.exporter);
  if (progress_) {
    progress_->ShowCollecting(step_, progress.num_committed, progress.num_episodes,
                              progress.num_workers);
  }
  if (!parts_.is_stop_requested()) return true;
  stop_seen_ = std::min(stop_seen_, now);
  const absl::Duration patience = absl::Seconds(config_.trainer().checkpoint().stop_wait_s());
  return progress.num_workers > 0 && now - stop_seen_ < patience;
}

void Leader::CommitTrajectories(std::vector<Trajectory>& trajectories) {
  for (Trajectory& trajectory : trajectories) {
    rewards_.Compose(trajectory);
    for (const PoolCall& call : trajectory.pool_calls()) {
      ledger_total_picousd_ += call.cost_picousd();
    }
    ++episodes_committed_;
  }
}

absl::Status Leader::CheckNotEmpty(const Collected& collected) const {
  if (collected.batch.num_trajectories() > 0) return absl::OkStatus();
  int pool_failed = 0;
  for (const Trajectory& trajectory : collected.trajectories) {
    pool_failed += trajectory.status() == EPISODE_STATUS_POOL_FAILED;
  }
  return absl::UnavailableError(
      absl::StrCat("no episode of step ", step_, " can be learnt from: ", pool_failed, " of ",
                   collected.trajectories.size(), " failed in the pool (",
                   FirstPoolError(collected.trajectories),
                   "); mend the pool and start again, the run resumes at this step"));
}

absl::Status Leader::Publish() {
  if (is_supervised()) return absl::OkStatus();
  const ScopedSpan span("publish weights");
  source_->RetireWeights();
  RW_RETURN_IF_ERROR(
      followers_.Tell({.kind = StepMessage::Kind::kExport, .step = step_, .batch = {}}));
  RW_ASSIGN_OR_RETURN(auto policy, update_->ExportPolicy());
  return source_->PublishWeights(policy_version(), std::move(policy));
}

absl::Status Leader::SaveCheckpoint() {
  RW_RETURN_IF_ERROR(folder_.CheckIsOurs());
  return checkpoints_.Save(step_, policy_version(), state_);
}

absl::Status Leader::ForgetJournal() {
  if (source_ == nullptr) return absl::OkStatus();
  const std::optional<int64_t> step = checkpoints_.TakeSupersededStep();
  return step.has_value() ? source_->ForgetBefore(*step) : absl::OkStatus();
}

absl::StatusOr<RunOutcome> Leader::Stop(bool is_preempted) {
  progress_.reset();
  if (source_ != nullptr) source_->RetireWeights();
  if (!checkpoints_.IsSaved(step_)) RW_RETURN_IF_ERROR(SaveCheckpoint());
  RW_RETURN_IF_ERROR(checkpoints_.Finish(step_));
  RW_RETURN_IF_ERROR(followers_.Tell({.kind = StepMessage::Kind::kStop,
                                      .step = step_,
                                      .is_preempted = is_preempted,
                                      .batch = {}}));
  if (source_ != nullptr) RW_RETURN_IF_ERROR(source_->Finish());
  tracer_.DropRequests();
  RW_RETURN_IF_ERROR(folder_.WriteState(is_preempted ? "preempted" : "finished", step_, ""));
  return is_preempted ? RunOutcome::kPreempted : RunOutcome::kFinished;
}

}  // namespace routewright
