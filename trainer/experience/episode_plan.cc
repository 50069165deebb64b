#include "trainer/experience/episode_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "common/config/algorithm_facts.h"
#include "common/reward/reward.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"
#include "trainer/experience/trial_plan.h"

namespace routewright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

EpisodeSpec MakeSpec(const RunConfig& config, const StepPlan& plan, const Question& question) {
  EpisodeSpec spec;
  *spec.mutable_question() = question;
  spec.set_run_seed(config.run().seed());
  spec.set_step(plan.step);
  spec.set_policy_version(plan.policy_version);
  return spec;
}

bool IsLearnable(const Trajectory& trajectory) {
  const auto& provenance = trajectory.provenance();
  return HasVerdict(trajectory) &&
         std::find(provenance.begin(), provenance.end(), PROVENANCE_POLICY) != provenance.end();
}

// Groups that dynamic sampling leaves out: those without a difference, unless all are.
std::set<std::string> GroupsLeftOut(const RunConfig& config,
                                    std::span<const Trajectory> trajectories) {
  std::set<std::string> left_out;
  if (!FactsOf(config.trainer()).needs_groups() ||
      config.trainer().dynamic_sampling().max_extra_share() == 0.0) {
    return left_out;
  }
  const auto groups = EvenGroups(config, trajectories);
  for (const auto& [name, is_even] : groups) {
    if (is_even) left_out.insert(name);
  }
  return left_out.size() < groups.size() ? left_out : std::set<std::string>();
}

}  // namespace

StepPlan PlanStep(const RunConfig& config, int64_t step, int64_t policy_version,
                  std::span<const Question> train_questions,
                  std::span<const Question> evaluation_questions, int64_t first_place) {
  StepPlan plan{.step = step, .policy_version = policy_version, .episodes = {}};
  TrialPlan trials(config);
  const int64_t group_size = config.trainer().episodes_per_question();
  const int64_t step_size = config.trainer().questions_per_step() * group_size;
  for (size_t q = 0; q < train_questions.size(); ++q) {
    const int64_t place = first_place + static_cast<int64_t>(q);
    for (int member = 0; member < group_size; ++member) {
      EpisodeSpec spec = MakeSpec(config, plan, train_questions[q]);
      spec.set_episode_id(absl::StrFormat("train/%06d/%04d/%02d", step, place, member));
      spec.set_purpose(PURPOSE_TRAIN);
      spec.set_temperature(config.episode().temperature());
      trials.SetTrials(step_size, place * group_size + member, spec);
      plan.episodes.push_back(std::move(spec));
    }
  }
  for (size_t q = 0; q < evaluation_questions.size(); ++q) {
    EpisodeSpec spec = MakeSpec(config, plan, evaluation_questions[q]);
    spec.set_episode_id(absl::StrFormat("eval/%06d/%04d", step, q));
    spec.set_purpose(PURPOSE_EVAL);
    spec.set_temperature(config.evaluation().temperature());
    plan.episodes.push_back(std::move(spec));
  }
  return plan;
}

std::map<std::string, bool> EvenGroups(const RunConfig& config,
                                       std::span<const Trajectory> trajectories) {
  struct Range {
    double least = kInfinity, largest = -kInfinity;  // of rewards
  };
  std::map<std::string, Range> ranges;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != PURPOSE_TRAIN || !IsLearnable(trajectory)) continue;
    Range& range = ranges[GroupName(trajectory)];
    range.largest = std::max(range.largest, trajectory.reward());
    if (TrialWeight(config, trajectory) < 1.0) continue;
    range.least = std::min(range.least, trajectory.reward());
  }
  std::map<std::string, bool> even;
  for (const auto& [name, range] : ranges) {
    const bool is_all_trials = range.least == kInfinity;
    even[name] = is_all_trials || range.largest - range.least <=
                                      config.trainer().dynamic_sampling().min_difference();
  }
  return even;
}

absl::StatusOr<LearnableBatch> SelectBatch(const RunConfig& run_config,
                                           std::span<const Trajectory> trajectories,
                                           int64_t vocabulary_size, int64_t policy_version) {
  const TrainerConfig& config = run_config.trainer();
  std::map<std::string, int> members;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() == PURPOSE_TRAIN && IsLearnable(trajectory)) {
      ++members[GroupName(trajectory)];
    }
  }
  const std::set<std::string> left_out = GroupsLeftOut(run_config, trajectories);
  const bool needs_company = FactsOf(config).needs_groups() && config.episodes_per_question() > 1;
  const TrajectoryRules rules = {.vocabulary_size = vocabulary_size,
                                 .min_policy_version = policy_version - config.max_policy_lag(),
                                 .max_policy_version = policy_version};
  LearnableBatch result;
  std::map<std::string, int64_t> groups;
  for (size_t place = 0; place < trajectories.size(); ++place) {
    const Trajectory& trajectory = trajectories[place];
    if (trajectory.purpose() != PURPOSE_TRAIN) continue;
    const std::string name = GroupName(trajectory);
    if (!IsLearnable(trajectory) || (needs_company && members[name] < 2) ||
        left_out.contains(name)) {
      ++result.left_out;
      continue;
    }
    const int64_t group = groups.try_emplace(name, groups.size()).first->second;
    RW_RETURN_IF_ERROR(AppendTrajectory(trajectory, rules, group, result.batch));
    result.batch.is_masked.back() =
        config.mask_overlong() && trajectory.status() == EPISODE_STATUS_OVERFLOW;
    result.batch.trial_weights.back() = TrialWeight(run_config, trajectory);
    result.batch.is_charged.back() = IsCharged(run_config.reward(), trajectory.components());
    result.places.push_back(place);
  }
  return result;
}

}  // namespace routewright
