#include "trainer/loop/episode_collector.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/algorithm_facts.h"
#include "common/dataset.h"
#include "common/log.h"
#include "common/reward/cost_forms.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/experience/episode_plan.h"
#include "trainer/live_page/live_state.h"
#include "trainer/record/trajectory_metrics.h"

namespace routewright {
namespace {

// Adds what a later plan of the same step brought.
void Add(CollectedStep more, CollectedStep& all) {
  all.trajectories.insert(all.trajectories.end(),
                          std::make_move_iterator(more.trajectories.begin()),
                          std::make_move_iterator(more.trajectories.end()));
  all.leases_expired += more.leases_expired;
  all.duplicates += more.duplicates;
  all.replayed += more.replayed;
  all.num_workers = more.num_workers;
  all.worker_wait_s += more.worker_wait_s;
}

}  // namespace

EpisodeCollector::EpisodeCollector(const LearnerParts& parts, const ModelConfig& model,
                                   const RunFolderFiles* folder, Followers* followers,
                                   std::vector<Question> train, HeldOut held_out)
    : parts_(parts),
      config_(*parts.config),
      vocabulary_size_(model.vocabulary_size),
      checks_(parts, folder, followers),
      questions_(std::move(train), config_.run().seed(), config_.data()),
      held_out_(std::move(held_out)),
      rewards_(config_) {}

EpisodeCollector::~EpisodeCollector() {
  if (parts_.live_state != nullptr) parts_.live_state->WatchWorkers({});  // source_ dies now
}

absl::StatusOr<std::unique_ptr<EpisodeCollector>> EpisodeCollector::Load(
    const LearnerParts& parts, const ModelConfig& model, const RunFolderFiles* folder,
    Followers* followers) {
  RW_ASSIGN_OR_RETURN(std::vector<Question> train, LoadDatasets(parts.config->data().train()));
  RW_RETURN_IF_ERROR(CheckSourceWeights(parts.config->data(), train));
  RW_ASSIGN_OR_RETURN(HeldOut held_out, HeldOut::Load(*parts.config));
  return std::unique_ptr<EpisodeCollector>(
      new EpisodeCollector(parts, model, folder, followers, std::move(train), std::move(held_out)));
}

void EpisodeCollector::Save(LearnerState& state) const {
  state.set_question_cursor(questions_.cursor());
  state.set_question_order_digest(questions_.digest());
  state.set_ledger_total_picousd(cost_picousd_);
  state.set_episodes_committed(episodes_committed_);
  held_out_.Save(state);
  rewards_.Save(state);
}

absl::Status EpisodeCollector::Restore(const LearnerState& state) {
  cost_picousd_ = state.ledger_total_picousd();
  episodes_committed_ = state.episodes_committed();
  held_out_.Restore(state);
  rewards_.Restore(state);
  return questions_.Restore(state.question_cursor(), state.question_order_digest());
}

absl::Status EpisodeCollector::Open() {
  RW_ASSIGN_OR_RETURN(source_, parts_.open_source(vocabulary_size_));
  if (parts_.live_state != nullptr) {
    parts_.live_state->WatchWorkers([this] { return source_->ViewWorkers(); });
  }
  return absl::OkStatus();
}

absl::StatusOr<Collected> EpisodeCollector::Collect(int64_t step, bool is_traced,
                                                    Progress* progress) {
  RW_RETURN_IF_ERROR(checks_.CheckBudget(cost_picousd_));
  const bool evaluates = held_out_.IsDueIn(step);
  RW_ASSIGN_OR_RETURN(CollectedStep run, AskQuestions(step, evaluates, is_traced, progress));
  rewards_.AdaptToBudget(run.trajectories);
  RW_ASSIGN_OR_RETURN(
      LearnableBatch selected,
      SelectBatch(config_, run.trajectories, vocabulary_size_, PolicyVersionAfter(step)));
  Collected collected;
  collected.batch = std::move(selected.batch);
  collected.places = std::move(selected.places);
  collected.trajectories = std::move(run.trajectories);
  RW_RETURN_IF_ERROR(CheckNotEmpty(step, collected));
  collected.metrics = TrajectoryMetrics(config_.pool(), collected.trajectories);
  if (evaluates) {
    held_out_.Record(step, collected.metrics);
  } else if (held_out_.IsDone(step)) {  // by a training that ended here, and now goes on
    collected.metrics.Append(held_out_.MetricsOf(step));
  }
  AddGroupMetrics(collected.trajectories, collected.metrics);
  collected.metrics.Set("episode/left_out", selected.left_out);
  if (ChargesABudget(config_.reward())) {
    collected.metrics.Set("episode/cost_weight", rewards_.cost_weight());
    if (rewards_.own_cost_usd().has_value()) {
      collected.metrics.Set("episode/own_cost_usd_per_1k", 1000.0 * *rewards_.own_cost_usd());
    }
  }
  AddFleetMetrics(run, collected.metrics);
  return collected;
}

// The step's questions; with dynamic sampling, then others in place of those whose group shows no difference.
absl::StatusOr<CollectedStep> EpisodeCollector::AskQuestions(int64_t step, bool evaluates,
                                                             bool is_traced, Progress* progress) {
  const TrainerConfig& trainer = config_.trainer();
  const DynamicSamplingConfig& dynamic = trainer.dynamic_sampling();
  CollectedStep all;
  int64_t num_asked = 0;
  const auto ask = [&](int64_t count) -> absl::Status {
    const std::vector<Question> train = questions_.Draw(static_cast<int>(count));
    const bool is_first = num_asked == 0;
    StepPlan plan = PlanStep(
        config_, step, PolicyVersionAfter(step), train,
        evaluates && is_first ? held_out_.questions() : std::vector<Question>(), num_asked);
    for (EpisodeSpec& spec : plan.episodes) spec.set_is_traced(is_traced);
    num_asked += count;
    absl::Status fault;
    absl::StatusOr<CollectedStep> run = RunEpisodes(step, plan, progress, fault);
    RW_RETURN_IF_ERROR(fault);
    RW_RETURN_IF_ERROR(run.status());
    Commit(run->trajectories);
    Add(*std::move(run), all);
    return absl::OkStatus();
  };
  RW_RETURN_IF_ERROR(ask(trainer.questions_per_step()));
  int64_t extra_left = std::llround(dynamic.max_extra_share() * trainer.questions_per_step());
  if (!FactsOf(trainer).needs_groups()) extra_left = 0;
  while (extra_left > 0) {
    const auto groups = EvenGroups(config_, all.trajectories);
    const int64_t num_uneven = std::count_if(groups.begin(), groups.end(),
                                             [](const auto& group) { return !group.second; });
    // Those that the pool failed are not replaced: it would fail the others too.
    const int64_t num_failed = num_asked - static_cast<int64_t>(groups.size());
    const int64_t wanted =
        std::min(extra_left, trainer.questions_per_step() - num_uneven - num_failed);
    if (wanted <= 0) break;
    extra_left -= wanted;
    RW_RETURN_IF_ERROR(ask(wanted));
  }
  return all;
}

void EpisodeCollector::AddGroupMetrics(std::span<const Trajectory> trajectories,
                                       Metrics& metrics) const {
  if (!FactsOf(config_.trainer()).needs_groups()) return;
  const auto groups = EvenGroups(config_, trajectories);
  const auto num_even =
      std::count_if(groups.begin(), groups.end(), [](const auto& group) { return group.second; });
  const auto num_groups = static_cast<double>(groups.size());
  metrics.Set("episode/groups", num_groups);
  metrics.Set("episode/even_groups", static_cast<double>(num_even) / std::max(1.0, num_groups));
}

absl::StatusOr<std::optional<std::vector<Trajectory>>> EpisodeCollector::EvaluateLast(
    int64_t step, Progress* progress) {
  absl::Status fault = checks_.CheckBudget(cost_picousd_);
  absl::StatusOr<CollectedStep> run = absl::CancelledError();
  if (fault.ok()) {
    run = RunEpisodes(step,
                      PlanStep(config_, step, PolicyVersionAfter(step), /*train_questions=*/{},
                               held_out_.questions()),
                      progress, fault);
  }
  // Of the checks alone: a disk that is full is kResourceExhausted too, and no reason to go on.
  const bool is_spent = absl::IsResourceExhausted(fault);
  if (is_spent || (absl::IsCancelled(run.status()) && parts_.is_stop_requested())) {
    LogWarning("step=", step, " | the last weights are not evaluated: ",
               is_spent ? fault.message() : "a stop signal came",
               "; `routewright eval` on the last checkpoint does it");
    return std::nullopt;
  }
  RW_RETURN_IF_ERROR(fault);
  RW_RETURN_IF_ERROR(run.status());
  Commit(run->trajectories);
  held_out_.Record(step, TrajectoryMetrics(config_.pool(), run->trajectories));
  return std::move(run->trajectories);
}

absl::StatusOr<CollectedStep> EpisodeCollector::RunEpisodes(int64_t step, const StepPlan& plan,
                                                            Progress* progress,
                                                            absl::Status& fault) {
  ScopedSpan span("collect episodes");
  span.AddDetail("episodes", absl::StrCat(plan.episodes.size()));
  return source_->CollectStep(plan, [&](const CollectProgress& collecting) {
    return checks_.GoesOn(step, cost_picousd_, collecting, progress, fault);
  });
}

void EpisodeCollector::Commit(std::vector<Trajectory>& trajectories) {
  rewards_.Compose(trajectories);
  for (const Trajectory& trajectory : trajectories) {
    for (const PoolCall& call : trajectory.pool_calls()) cost_picousd_ += call.cost_picousd();
    ++episodes_committed_;
  }
}

absl::Status EpisodeCollector::CheckNotEmpty(int64_t step, const Collected& collected) const {
  if (collected.batch.num_trajectories() > 0) return absl::OkStatus();
  int pool_failed = 0, too_long = 0;
  for (const Trajectory& trajectory : collected.trajectories) {
    pool_failed += trajectory.status() == EPISODE_STATUS_POOL_FAILED;
    too_long += trajectory.status() == EPISODE_STATUS_OVERFLOW;
  }
  if (pool_failed == 0 && too_long > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no episode of step ", step, " can be learnt from: ", too_long, " of ",
        collected.trajectories.size(),
        " had no room to begin: raise episode.max_prompt_tokens or take the long questions out; "
        "`routewright doctor` counts them"));
  }
  return absl::UnavailableError(
      absl::StrCat("no episode of step ", step, " can be learnt from: ", pool_failed, " of ",
                   collected.trajectories.size(), " failed in the pool (",
                   FirstPoolError(collected.trajectories),
                   "); mend the pool and start again, the run resumes at this step"));
}

void EpisodeCollector::AddFleetMetrics(const CollectedStep& step, Metrics& metrics) const {
  metrics.Set("worker/wait_for_lease_s", step.worker_wait_s);
  if (config_.run().deterministic()) return;  // such a run's metrics say nothing of who ran it
  const PoolBudget& budget = checks_.budget();
  if (budget.is_limited()) metrics.Set("run/budget_used", budget.used_share());
  metrics.Set("workers/count", step.num_workers);
  metrics.Set("workers/leases_expired", static_cast<double>(step.leases_expired));
  metrics.Set("workers/duplicates", static_cast<double>(step.duplicates));
  metrics.Set("workers/replayed", static_cast<double>(step.replayed));
}

}  // namespace routewright
