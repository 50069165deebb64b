#include "trainer/algorithm/advantages/group_advantages.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/check.h"

namespace routewright {
namespace {

constexpr double kEpsilon = 1e-6;

struct GroupStatistics {
  int64_t count = 0;
  double sum = 0.0;
  double squared_deviations = 0.0;
  double mean() const { return count > 1 ? sum / count : 0.0; }
  double deviation() const { return count > 1 ? std::sqrt(squared_deviations / (count - 1)) : 1.0; }
};

}  // namespace

std::vector<double> GroupAdvantages(std::span<const double> scores,
                                    std::span<const int64_t> groups) {
  RW_CHECK(scores.size() == groups.size())
      << scores.size() << " scores, " << groups.size() << " groups";
  std::map<int64_t, GroupStatistics> statistics;
  for (size_t b = 0; b < scores.size(); ++b) {
    GroupStatistics& group = statistics[groups[b]];
    ++group.count;
    group.sum += scores[b];
  }
  for (size_t b = 0; b < scores.size(); ++b) {
    GroupStatistics& group = statistics[groups[b]];
    const double deviation = scores[b] - group.mean();
    group.squared_deviations += deviation * deviation;
  }
  std::vector<double> advantages(scores.size());
  for (size_t b = 0; b < scores.size(); ++b) {
    const GroupStatistics& group = statistics[groups[b]];
    advantages[b] = (scores[b] - group.mean()) / (group.deviation() + kEpsilon);
  }
  return advantages;
}

Credit EstimateByGroup(const TrainerConfig& /*config*/, const EstimatorInput& input) {
  const Batch& batch = input.batch;
  std::vector<double> scores(batch.num_trajectories(), 0.0);
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
      scores[b] += input.token_rewards[n];
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

}  // namespace routewright
