#include "trainer/algorithm/credit.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "trainer/algorithm/advantages/gae.h"
#include "trainer/algorithm/advantages/group_advantages.h"
#include "trainer/algorithm/advantages/whiten.h"
#include "trainer/algorithm/losses/kl.h"

namespace routewright {
namespace {

// [N] what each policy token is paid: −β·KL, and the trajectory's reward at its last one.
std::vector<double> TokenRewards(const LossConfig& config, const Batch& batch,
                                 const CreditInput& input) {
  std::vector<double> rewards(batch.num_scored(), 0.0);
  const bool has_penalty =
      config.kl_placement() == LossConfig::KL_PLACEMENT_REWARD && !input.reference_logprobs.empty();
  for (int64_t n = 0; has_penalty && n < batch.num_scored(); ++n) {
    rewards[n] = -input.kl_coefficient * KlPenalty(config.kl_estimator(), input.old_logprobs[n],
                                                   input.reference_logprobs[n]);
  }
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    rewards[batch.scored_offsets[b + 1] - 1] += batch.rewards[b];
  }
  return rewards;
}

Credit GroupCredit(const Batch& batch, std::span<const double> token_rewards) {
  std::vector<double> scores(batch.num_trajectories(), 0.0);
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
      scores[b] += token_rewards[n];
    }
  }
  const std::vector<double> advantages = GroupAdvantages(scores, batch.groups);
  Credit credit{std::vector<double>(batch.num_scored()), {}};
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    std::fill(credit.advantages.begin() + batch.scored_offsets[b],
              credit.advantages.begin() + batch.scored_offsets[b + 1], advantages[b]);
  }
  return credit;
}

Credit GaeCredit(const CriticConfig& config, const Batch& batch,
                 std::span<const double> token_rewards, std::span<const double> values) {
  RW_CHECK(static_cast<int64_t>(values.size()) == batch.num_scored())
      << values.size() << " values for " << batch.num_scored() << " policy tokens";
  Credit credit;
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    const int64_t first = batch.scored_offsets[b];
    const int64_t count = batch.scored_offsets[b + 1] - first;
    const GaeResult gae = Gae(token_rewards.subspan(first, count), values.subspan(first, count),
                              config.gamma(), config.lambda());
    credit.advantages.insert(credit.advantages.end(), gae.advantages.begin(), gae.advantages.end());
    credit.returns.insert(credit.returns.end(), gae.returns.begin(), gae.returns.end());
  }
  Whiten(credit.advantages);
  return credit;
}

}  // namespace

Credit AssignCredit(const TrainerConfig& config, const Batch& batch, const CreditInput& input) {
  if (config.algorithm() == TrainerConfig::ALGORITHM_SUPERVISED) {
    return {std::vector<double>(batch.num_scored(), 1.0), {}};
  }
  const std::vector<double> token_rewards = TokenRewards(config.loss(), batch, input);
  return config.algorithm() == TrainerConfig::ALGORITHM_PPO
             ? GaeCredit(config.critic(), batch, token_rewards, input.values)
             : GroupCredit(batch, token_rewards);
}

std::vector<float> TokenAdvantages(size_t place, std::span<const size_t> places, const Batch& batch,
                                   std::span<const double> advantages) {
  const auto found = std::find(places.begin(), places.end(), place);
  if (found == places.end() || std::ssize(advantages) != batch.num_scored()) return {};
  const int64_t b = found - places.begin();
  std::vector<float> result(batch.length(b), std::nanf(""));
  for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
    result[batch.scored[n]] = static_cast<float>(advantages[n]);
  }
  return result;
}

}  // namespace routewright
