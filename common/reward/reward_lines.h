// What `routewright reward` does with one line: a recorded response or trajectory as
// JSON in, its scores as JSON out. Pure; any thread. Fails: kInvalidArgument, one clause
// that fits behind "line 3: ".
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

// {"response", "golden_answers", "metric": "em" | "f1", "cost_coefficient", "cost_reward"} →
// {"answer", "em", "f1", "format_reward", "valid_routes", "reward"}. The last three inputs may be
// missing (em, 0, 0); the answer is null without an answer pair.
absl::StatusOr<std::string> ScoreReferenceLine(const std::string& line);

// A Trajectory → {"episode_id", "status", "em", "f1", "format_reward", "cost_picousd", "reward"},
// scored anew from its action records with the cost_reward, the calls' costs and the waiting time that
// it carries; `cost_weight` is λ of the budget form. The reward is null where the status is never
// scored.
absl::StatusOr<std::string> ScoreStrictLine(const std::string& line, const RewardConfig& config,
                                            double cost_weight = 0.0);

}  // namespace routewright
