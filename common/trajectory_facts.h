// What a trajectory says of itself, for all who ask. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "proto/episode.pb.h"

namespace routewright {

// False for an episode that nothing is known of, because its pool failed or it was cancelled: it is
// neither scored nor learnt from.
inline bool HasVerdict(const Trajectory& trajectory) {
  return trajectory.status() != EPISODE_STATUS_POOL_FAILED &&
         trajectory.status() != EPISODE_STATUS_CANCELLED;
}

// Whether the policy was told something by the model or of its refusal: else the call failed for reasons outside the
// policy, or was cancelled.
inline bool IsDelivered(CallOutcome outcome) {
  return outcome == CALL_OUTCOME_OK || outcome == CALL_OUTCOME_TRUNCATED ||
         outcome == CALL_OUTCOME_REFUSED || outcome == CALL_OUTCOME_TOO_LONG;
}

// Whether the model of a call was not the policy's choice: a trial (EpisodeSpec.trial_models).
inline bool IsTrial(const Trajectory& trajectory, const PoolCall& call) {
  for (const Action& action : trajectory.actions()) {
    if (action.is_trial() && action.round() == call.round()) return true;
  }
  return false;
}

inline bool HasTrial(const Trajectory& trajectory) {
  for (const Action& action : trajectory.actions()) {
    if (action.is_trial()) return true;
  }
  return false;
}

// What a policy token is a part of: the name of a call's model, which the policy chose, or which a trial wrote; 0: neither.
inline constexpr uint8_t kNamesModel = 1, kNamesTrial = 2;

// The group of its question's episodes: "train/000012/0003/05" → "train/000012/0003".
inline std::string GroupName(const Trajectory& trajectory) {
  return trajectory.episode_id().substr(0, trajectory.episode_id().rfind('/'));
}

}  // namespace routewright
