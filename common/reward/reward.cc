#include "common/reward/reward.h"

#include <algorithm>

#include "common/reward/answer_scoring.h"
#include "common/text.h"
#include "common/unicode.h"

namespace routewright {
namespace {

// The answer that ended the episode, or null.
const Action* AnswerOf(const Trajectory& trajectory) {
  if (trajectory.actions().empty()) return nullptr;
  const Action& last = trajectory.actions(trajectory.actions_size() - 1);
  return last.kind() == ACTION_KIND_ANSWER ? &last : nullptr;
}

double ScoreOf(const RewardConfig& config, const RewardComponents& components) {
  return config.metric() == RewardConfig::METRIC_F1 ? components.f1() : components.em();
}

// Whether a golden answer that normalises to nothing ("A", "---") is the answer, but for case and white space.
bool EqualsUnnormalizable(const std::string& answer, std::span<const std::string> golden_answers) {
  const auto folded = [](const std::string& text) { return LowerCaseFull(StripWhitespace(text)); };
  return std::any_of(golden_answers.begin(), golden_answers.end(), [&](const std::string& golden) {
    return !folded(answer).empty() && NormalizeAnswer(golden).empty() &&
           folded(golden) == folded(answer);
  });
}

}  // namespace

double StrictExactMatch(const std::string& answer, std::span<const std::string> golden_answers) {
  if (EqualsUnnormalizable(answer, golden_answers)) return 1;
  return NormalizeAnswer(answer).empty() ? 0 : ExactMatch(answer, golden_answers);
}

double StrictF1(const std::string& answer, std::span<const std::string> golden_answers) {
  if (EqualsUnnormalizable(answer, golden_answers)) return 1;
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
  int64_t cost_picousd = 0, retried_picousd = 0;
  for (const PoolCall& call : trajectory.pool_calls()) {
    cost_picousd += call.cost_picousd();
    retried_picousd += call.retried_cost_picousd();
  }
  components.set_cost_picousd(cost_picousd);
  components.set_retried_cost_picousd(retried_picousd);
  return components;
}

RewardParts ComposeReward(const RewardConfig& config, const RewardComponents& components,
                          const EpisodeCost& cost) {
  if (components.format_reward() < 0) return {.score = -1};
  return ChargeCost(config, ScoreOf(config, components), cost);
}

bool IsCharged(const RewardConfig& config, const RewardComponents& components) {
  return components.format_reward() >= 0 && ChargesScore(config, ScoreOf(config, components));
}

}  // namespace routewright
