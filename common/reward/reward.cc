#include "common/reward/reward.h"

#include <algorithm>

#include "common/reward/answer_scoring.h"

namespace routewright {
namespace {

// The answer that ended the episode, or null.
const Action* AnswerOf(const Trajectory& trajectory) {
  if (trajectory.actions().empty()) return nullptr;
  const Action& last = trajectory.actions(trajectory.actions_size() - 1);
  return last.kind() == ACTION_KIND_ANSWER ? &last : nullptr;
}

}  // namespace

double StrictExactMatch(const std::string& answer, std::span<const std::string> golden_answers) {
  return NormalizeAnswer(answer).empty() ? 0 : ExactMatch(answer, golden_answers);
}

double StrictF1(const std::string& answer, std::span<const std::string> golden_answers) {
  return NormalizeAnswer(answer).empty() ? 0 : F1Score(answer, golden_answers);
}

double StrictFormatReward(const Trajectory& trajectory) {
  if (AnswerOf(trajectory) == nullptr || trajectory.invalid_actions() > 0) return -1;
  const bool is_sound = std::all_of(
      trajectory.actions().begin(), trajectory.actions().end(), [](const Action& action) {
        return action.kind() != ACTION_KIND_INVALID && action.format_faults().empty();
      });
  return is_sound ? 0 : -1;
}

bool IsScored(EpisodeStatus status) {
  return status == EPISODE_STATUS_ANSWERED || status == EPISODE_STATUS_NO_ANSWER ||
         status == EPISODE_STATUS_OVERFLOW;
}

RewardComponents StrictComponents(const Trajectory& trajectory) {
  RewardComponents components;
  components.set_format_reward(StrictFormatReward(trajectory));
  if (const Action* answer = AnswerOf(trajectory)) {
    const auto& golden = trajectory.question().golden_answers();
    const std::vector<std::string> golden_answers(golden.begin(), golden.end());
    components.set_em(StrictExactMatch(answer->answer(), golden_answers));
    components.set_f1(StrictF1(answer->answer(), golden_answers));
  }
  int64_t cost_picousd = 0;
  for (const PoolCall& call : trajectory.pool_calls()) cost_picousd += call.cost_picousd();
  components.set_cost_picousd(cost_picousd);
  return components;
}

double ComposeReward(const RewardConfig& config, const RewardComponents& components,
                     double cost_reward) {
  if (components.format_reward() < 0) return -1;
  const double score =
      config.metric() == RewardConfig::METRIC_F1 ? components.f1() : components.em();
  const double alpha = config.cost_coefficient();
  return score * (1 - alpha) + alpha * cost_reward * score;
}

}  // namespace routewright
