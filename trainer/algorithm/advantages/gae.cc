#include "trainer/algorithm/advantages/gae.h"

#include "common/check.h"
#include "trainer/algorithm/advantages/whiten.h"

namespace routewright {

GaeResult Gae(std::span<const double> rewards, std::span<const double> values, double gamma,
              double lambda) {
  RW_CHECK(rewards.size() == values.size())
      << rewards.size() << " rewards, " << values.size() << " values";
  const size_t n = rewards.size();
  GaeResult result{std::vector<double>(n), std::vector<double>(n)};
  double next_value = 0.0;
  double next_advantage = 0.0;
  for (size_t t = n; t-- > 0;) {
    const double delta = rewards[t] + gamma * next_value - values[t];
    next_advantage = delta + gamma * lambda * next_advantage;
    next_value = values[t];
    result.advantages[t] = next_advantage;
    result.returns[t] = next_advantage + values[t];
  }
  return result;
}

Credit EstimateByGae(const TrainerConfig& config, const EstimatorInput& input) {
  const Batch& batch = input.batch;
  RW_CHECK(static_cast<int64_t>(input.values.size()) == batch.num_scored())
      << input.values.size() << " values for " << batch.num_scored() << " policy tokens";
  Credit credit;
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    const int64_t first = batch.scored_offsets[b];
    const int64_t count = batch.scored_offsets[b + 1] - first;
    const GaeResult gae =
        Gae(input.token_rewards.subspan(first, count), input.values.subspan(first, count),
            config.critic().gamma(), config.critic().lambda());
    credit.advantages.insert(credit.advantages.end(), gae.advantages.begin(), gae.advantages.end());
    credit.returns.insert(credit.returns.end(), gae.returns.begin(), gae.returns.end());
  }
  Whiten(credit.advantages);
  return credit;
}

}  // namespace routewright
