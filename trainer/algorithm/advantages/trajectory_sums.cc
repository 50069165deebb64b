#include "trainer/algorithm/advantages/trajectory_sums.h"

#include <algorithm>

namespace routewright {

std::vector<double> SumsOfTrajectories(const Batch& batch, std::span<const double> token_rewards) {
  std::vector<double> sums(batch.num_trajectories(), 0.0);
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
      sums[b] += token_rewards[n];
    }
  }
  return sums;
}

Credit OnEveryToken(const Batch& batch, std::span<const double> advantages) {
  Credit credit{std::vector<double>(batch.num_scored()), {}};
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    std::fill(credit.advantages.begin() + batch.scored_offsets[b],
              credit.advantages.begin() + batch.scored_offsets[b + 1], advantages[b]);
  }
  return credit;
}

}  // namespace routewright
