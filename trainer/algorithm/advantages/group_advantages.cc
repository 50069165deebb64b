#include "trainer/algorithm/advantages/group_advantages.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/check.h"
#include "trainer/algorithm/advantages/trajectory_sums.h"

namespace routewright {
namespace {

constexpr double kEpsilon = 1e-6;

struct Statistics {
  int64_t count = 0;
  double sum = 0.0;
  double squared_deviations = 0.0;
  double mean() const { return count > 1 ? sum / static_cast<double>(count) : 0.0; }
  double deviation() const {
    return count > 1 ? std::sqrt(squared_deviations / static_cast<double>(count - 1)) : 1.0;
  }
};

// By group.
std::map<int64_t, Statistics> StatisticsOf(std::span<const double> scores,
                                           std::span<const int64_t> groups) {
  RW_CHECK(scores.size() == groups.size())
      << scores.size() << " scores, " << groups.size() << " groups";
  std::map<int64_t, Statistics> statistics;
  for (size_t b = 0; b < scores.size(); ++b) {
    Statistics& group = statistics[groups[b]];
    ++group.count;
    group.sum += scores[b];
  }
  for (size_t b = 0; b < scores.size(); ++b) {
    Statistics& group = statistics[groups[b]];
    const double deviation = scores[b] - group.mean();
    group.squared_deviations += deviation * deviation;
  }
  return statistics;
}

double DeviationOf(std::span<const double> scores) {
  const std::vector<int64_t> one_group(scores.size(), 0);
  return StatisticsOf(scores, one_group)[0].deviation();
}

// GDPO: what each trajectory earned for its score and what for its cost, apart.
std::vector<double> ComponentAdvantages(const AdvantageConfig& config, const Batch& batch,
                                        const std::vector<double>& sums) {
  std::vector<double> scores(sums.size()), costs(sums.size());
  for (size_t b = 0; b < sums.size(); ++b) {
    costs[b] = batch.rewards[b] - batch.score_rewards[b];
    scores[b] = sums[b] - costs[b];
  }
  std::vector<double> advantages = GroupAdvantages(scores, batch.groups, config.scale());
  // An episode that is charged nothing for its cost, since it is wrong, is no cheap one: costs are
  // compared among those that are.
  std::vector<size_t> charged;
  std::vector<double> charged_costs;
  std::vector<int64_t> charged_groups;
  for (size_t b = 0; b < sums.size(); ++b) {
    if (batch.is_charged[b] == 0) continue;
    charged.push_back(b);
    charged_costs.push_back(costs[b]);
    charged_groups.push_back(batch.groups[b]);
  }
  const std::vector<double> among_charged =
      GroupAdvantages(charged_costs, charged_groups, config.scale());
  std::map<int64_t, int> num_charged;
  for (const int64_t group : charged_groups) ++num_charged[group];
  std::vector<double> of_costs(sums.size(), 0.0);
  for (size_t i = 0; i < charged.size(); ++i) {
    // One alone has nothing to be compared with.
    if (num_charged[charged_groups[i]] > 1) of_costs[charged[i]] = among_charged[i];
  }
  for (size_t b = 0; b < sums.size(); ++b) {
    advantages[b] = config.score_weight() * advantages[b] + config.cost_weight() * of_costs[b];
  }
  if (config.scale() == AdvantageConfig::SCALE_GROUP) {
    const double scale = 1.0 / (DeviationOf(advantages) + kEpsilon);
    for (double& advantage : advantages) advantage *= scale;
  }
  return advantages;
}

}  // namespace

std::vector<double> GroupAdvantages(std::span<const double> scores, std::span<const int64_t> groups,
                                    AdvantageConfig::Scale scale) {
  const std::map<int64_t, Statistics> statistics = StatisticsOf(scores, groups);
  const double of_batch = scale == AdvantageConfig::SCALE_BATCH ? DeviationOf(scores) : 0.0;
  std::vector<double> advantages(scores.size());
  for (size_t b = 0; b < scores.size(); ++b) {
    const Statistics& group = statistics.at(groups[b]);
    const double difference = scores[b] - group.mean();
    switch (scale) {
      case AdvantageConfig::SCALE_BATCH:
        advantages[b] = difference / (of_batch + kEpsilon);
        break;
      case AdvantageConfig::SCALE_NONE:
        advantages[b] = difference;
        break;
      default:
        advantages[b] = difference / (group.deviation() + kEpsilon);
    }
  }
  return advantages;
}

std::vector<double> LeaveOneOutAdvantages(std::span<const double> scores,
                                          std::span<const int64_t> groups) {
  const std::map<int64_t, Statistics> statistics = StatisticsOf(scores, groups);
  std::vector<double> advantages(scores.size(), 0.0);
  for (size_t b = 0; b < scores.size(); ++b) {
    const Statistics& group = statistics.at(groups[b]);
    if (group.count < 2) continue;
    const double of_others = (group.sum - scores[b]) / static_cast<double>(group.count - 1);
    advantages[b] = scores[b] - of_others;
  }
  return advantages;
}

Credit EstimateByGroup(const TrainerConfig& config, const EstimatorInput& input) {
  const std::vector<double> sums = SumsOfTrajectories(input.batch, input.token_rewards);
  const AdvantageConfig& advantage = config.advantage();
  return OnEveryToken(input.batch,
                      advantage.components_apart()
                          ? ComponentAdvantages(advantage, input.batch, sums)
                          : GroupAdvantages(sums, input.batch.groups, advantage.scale()));
}

Credit EstimateLeaveOneOut(const TrainerConfig& /*config*/, const EstimatorInput& input) {
  const std::vector<double> sums = SumsOfTrajectories(input.batch, input.token_rewards);
  return OnEveryToken(input.batch, LeaveOneOutAdvantages(sums, input.batch.groups));
}

}  // namespace routewright
