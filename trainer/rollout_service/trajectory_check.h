// Is a trajectory that came over the wire what its lease asked for? A worker may be old, broken or
// not ours at all: nothing of it is used before this has said yes. Pure; any thread.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "proto/episode.pb.h"

namespace routewright {

// Checks identity (episode, purpose, step, question), lengths, token ids < vocabulary_size, finite
// log-probabilities ≤ 0 where the policy wrote and 0 elsewhere, the leased policy version on every
// policy token, actions that lie on policy tokens, finite components and costs ≥ 0. Fails:
// kInvalidArgument naming the episode and what is wrong.
absl::Status CheckTrajectory(const Trajectory& trajectory, const EpisodeSpec& spec,
                             int64_t vocabulary_size);

}  // namespace routewright
