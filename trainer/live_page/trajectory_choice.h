// Which of a step's trajectories the page shows. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "proto/episode.pb.h"

namespace routewright {

// Their places: of the training question whose episodes' rewards differ most up to 8 episodes,
// which teach most beside each other, and up to 4 held-out ones.
std::vector<size_t> ChooseTrajectories(std::span<const Trajectory> trajectories);

}  // namespace routewright
