#include "trainer/algorithm/advantages/reinforce_plus_plus.h"

#include "trainer/algorithm/advantages/group_advantages.h"
#include "trainer/algorithm/advantages/trajectory_sums.h"
#include "trainer/algorithm/advantages/whiten.h"

namespace routewright {

Credit EstimateReinforcePlusPlus(const TrainerConfig& config, const EstimatorInput& input) {
  const Batch& batch = input.batch;
  Credit credit{std::vector<double>(batch.num_scored()), {}};
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    double to_come = 0.0;
    for (int64_t n = batch.scored_offsets[b + 1]; n-- > batch.scored_offsets[b];) {
      to_come = input.token_rewards[n] + config.advantage().gamma() * to_come;
      credit.advantages[n] = to_come;
    }
  }
  Whiten(credit.advantages);
  return credit;
}

Credit EstimateReinforcePlusPlusBaseline(const TrainerConfig& /*config*/,
                                         const EstimatorInput& input) {
  const std::vector<double> sums = SumsOfTrajectories(input.batch, input.token_rewards);
  Credit credit = OnEveryToken(
      input.batch, GroupAdvantages(sums, input.batch.groups, AdvantageConfig::SCALE_NONE));
  Whiten(credit.advantages);
  return credit;
}

}  // namespace routewright
