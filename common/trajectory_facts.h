// What a trajectory says of itself, for all who ask. Pure; any thread.
#pragma once

#include <string>

#include "proto/episode.pb.h"

namespace routewright {

// False for an episode that nothing is known of, because its pool failed or it was cancelled: it is
// neither scored nor learnt from.
inline bool HasVerdict(const Trajectory& trajectory) {
  return trajectory.status() != EPISODE_STATUS_POOL_FAILED &&
         trajectory.status() != EPISODE_STATUS_CANCELLED;
}

// The group of its question's episodes: "train/000012/0003/05" → "train/000012/0003".
inline std::string GroupName(const Trajectory& trajectory) {
  return trajectory.episode_id().substr(0, trajectory.episode_id().rfind('/'));
}

}  // namespace routewright
