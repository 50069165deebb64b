// Packs trajectories into micro-batches: no padding, at most so many tokens each, as even as can be
// over micro-batches and ranks. Every rank gets the same number of micro-batches (some may be
// empty), because every rank takes part in every collective. Pure and deterministic; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace switchyard {

// One rank's micro-batches: the places of their trajectories in `lengths`, ascending.
using MicroBatches = std::vector<std::vector<int>>;
// Every rank's. Each place is in exactly one micro-batch.
using PackingPlan = std::vector<MicroBatches>;

// The fewest micro-batches per rank that hold everything; the longest trajectories are laid first,
// each into the emptiest micro-batch (longest-processing-time rule).
//   lengths [B] tokens of each trajectory, > 0
// Fails: kInvalidArgument naming a trajectory longer than max_micro_batch_tokens.
absl::StatusOr<PackingPlan> PackTrajectories(std::span<const int64_t> lengths, int num_ranks,
                                             int64_t max_micro_batch_tokens);

}  // namespace switchyard
