// Packs trajectories into micro-batches: no padding, at most so many tokens each, as few as can
// be, and even in work over micro-batches and ranks. Every rank gets the same number of
// micro-batches (some may be empty), because every rank takes part in every collective. Pure and
// deterministic; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/model/model_config.h"

namespace routewright {

// One rank's micro-batches: the places of their trajectories in `lengths`, ascending.
using MicroBatches = std::vector<std::vector<int>>;
// Every rank's. Each place is in exactly one micro-batch.
using PackingPlan = std::vector<MicroBatches>;

// The arithmetic of a trajectory grows with its length, and by attention with its square: in units
// of one token's matrix products, length · (1 + length / pivot).
struct PackingWork {
  // Tokens at which attention costs as much as the matrix products; 0: it costs nothing.
  double pivot_tokens = 0.0;
  double Of(int64_t length) const {
    const auto tokens = static_cast<double>(length);
    return pivot_tokens > 0.0 ? tokens * (1.0 + tokens / pivot_tokens) : tokens;
  }
};
// Of causal attention against the weights' products: both forward and backward, the head included.
PackingWork WorkOf(const ModelConfig& model);

// The fewest micro-batches per rank that hold everything: the longest trajectories are laid first,
// each where there is least work yet (longest-processing-time rule); if that does not fit, each
// where it leaves least room (best fit decreasing). Micro-batches of like work run side by side.
//   lengths [B] tokens of each trajectory, > 0
// Fails: kInvalidArgument naming a trajectory longer than max_micro_batch_tokens.
absl::StatusOr<PackingPlan> PackTrajectories(std::span<const int64_t> lengths, int num_ranks,
                                             int64_t max_micro_batch_tokens,
                                             const PackingWork& work = {});

// How much longer the ranks compute than if their work were equal: they meet in every micro-batch,
// whose largest share of work all wait for. Σ largest / Σ mean − 1, ≥ 0; 0 for no work.
double WorkImbalance(const PackingPlan& plan, std::span<const int64_t> lengths,
                     const PackingWork& work);

}  // namespace routewright
