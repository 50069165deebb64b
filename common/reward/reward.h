// Composes an episode's reward from its components. Pure; any thread.
#pragma once

#include <span>
#include <string>

#include "common/reward/cost_forms.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

// Strict scoring of one answer: as answer_scoring.h, but what normalises to nothing is compared as it
// is written, but for case and white space around it: it equals such a golden answer or is wrong.
double StrictExactMatch(const std::string& answer, std::span<const std::string> golden_answers);
double StrictF1(const std::string& answer, std::span<const std::string> golden_answers);

// −1 or 0, from the action records alone: −1 without an answer, or with any format
// fault or invalid action.
double StrictFormatReward(const Trajectory& trajectory);

// Whether episodes of this status are scored. One that failed for reasons
// outside the policy never is.
bool IsScored(EpisodeStatus status);

// All components of one trajectory: its last action's answer against the question's golden answers
// (0 without one), its format, and the exact sum of its calls' costs.
RewardComponents StrictComponents(const Trajectory& trajectory);

// What is charged of an episode's cost, in pico-dollars: that of the attempts that were delivered. What a pool had to be
// asked again for is not the policy's doing.
inline double ChargedPicousd(const RewardComponents& components) {
  return static_cast<double>(components.cost_picousd() - components.retried_cost_picousd());
}

// Format −1 ⇒ −1. Else ChargeCost of the score, em or f1 by config (0 when wrong).
RewardParts ComposeReward(const RewardConfig& config, const RewardComponents& components,
                          const EpisodeCost& cost);

// Whether ComposeReward charges an episode for its cost: not one whose format is wrong, and of wrong answers
// none that ChargesScore leaves out. What one costs says nothing of another then.
bool IsCharged(const RewardConfig& config, const RewardComponents& components);

}  // namespace routewright
