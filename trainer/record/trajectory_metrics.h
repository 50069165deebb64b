// What a step's trajectories say about the run: reward, correctness, money,
// routing. Pure; any thread.
#pragma once

#include <span>
#include <string>

#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/record/metrics.h"

namespace routewright {

// Under episode/ and pool/ for the training episodes, under evaluation/ for the others (absent if
// there are none). Rewards must have been composed. Means are over the episodes with a verdict:
// POOL_FAILED and CANCELLED ones are counted apart. `pool` names the models whose shares are
// reported, also when they are 0.
Metrics TrajectoryMetrics(const PoolConfig& pool, std::span<const Trajectory> trajectories);

// The outcome of the first pool call that was not delivered, for a person to act on.
std::string FirstPoolError(std::span<const Trajectory> trajectories);

// Entropy in nats of shares that sum to 1.
double ShareEntropy(std::span<const double> shares);

}  // namespace routewright
