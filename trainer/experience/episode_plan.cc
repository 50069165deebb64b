#include "trainer/experience/episode_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "common/config/algorithm_facts.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"
#include "trainer/experience/trial_plan.h"

namespace routewright {
namespace {

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
std::set<std::string> GroupsLeftOut(const TrainerConfig& config,
                                    std::span<const Trajectory> trajectories) {
  std::set<std::string> left_out;
  if (!FactsOf(config).needs_groups() || config.dynamic_sampling().max_extra_share() == 0.0) {
    return left_out;
  }
  const auto groups = EvenGroups(trajectories, config.dynamic_sampling().min_difference());
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

std::map<std::string, bool> EvenGroups(std::span<const Trajectory> trajectories,
                                       double min_difference) {
  std::map<std::string, std::pair<double, double>> ranges;  // the least and the largest reward
  std::map<std::string, bool> even;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != PURPOSE_TRAIN) continue;
    if (!IsLearnable(trajectory)) continue;
    const std::string name = GroupName(trajectory);
    const double reward = trajectory.reward();
    auto& [least, largest] = ranges.try_emplace(name, reward, reward).first->second;
    least = std::min(least, reward);
    largest = std::max(largest, reward);
  }
  for (const auto& [name, range] : ranges) {
    even[name] = range.second - range.first <= min_difference;
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
  const std::set<std::string> left_out = GroupsLeftOut(config, trajectories);
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
    result.places.push_back(place);
  }
  return result;
}

}  // namespace routewright
