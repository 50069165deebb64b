#include "trainer/experience/episode_plan.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"
#include "common/config/algorithm_facts.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"

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

}  // namespace

StepPlan PlanStep(const RunConfig& config, int64_t step, int64_t policy_version,
                  std::span<const Question> train_questions,
                  std::span<const Question> evaluation_questions) {
  StepPlan plan{.step = step, .policy_version = policy_version, .episodes = {}};
  for (size_t q = 0; q < train_questions.size(); ++q) {
    for (int member = 0; member < config.trainer().episodes_per_question(); ++member) {
      EpisodeSpec spec = MakeSpec(config, plan, train_questions[q]);
      spec.set_episode_id(absl::StrFormat("train/%06d/%04d/%02d", step, q, member));
      spec.set_purpose(PURPOSE_TRAIN);
      spec.set_temperature(config.episode().temperature());
      plan.episodes.push_back(std::move(spec));
    }
  }
  for (size_t q = 0; q < evaluation_questions.size(); ++q) {
    EpisodeSpec spec = MakeSpec(config, plan, evaluation_questions[q]);
    spec.set_episode_id(absl::StrFormat("eval/%06d/%04d", step, q));
    spec.set_purpose(PURPOSE_EVAL);
    spec.set_temperature(0.0);
    plan.episodes.push_back(std::move(spec));
  }
  return plan;
}

absl::StatusOr<LearnableBatch> SelectBatch(const TrainerConfig& config,
                                           std::span<const Trajectory> trajectories,
                                           int64_t vocabulary_size, int64_t policy_version) {
  std::map<std::string, int> members;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() == PURPOSE_TRAIN && IsLearnable(trajectory)) {
      ++members[GroupName(trajectory)];
    }
  }
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
    if (!IsLearnable(trajectory) || (needs_company && members[name] < 2)) {
      ++result.left_out;
      continue;
    }
    const int64_t group = groups.try_emplace(name, groups.size()).first->second;
    RW_RETURN_IF_ERROR(AppendTrajectory(trajectory, rules, group, result.batch));
    result.places.push_back(place);
  }
  return result;
}

}  // namespace routewright
