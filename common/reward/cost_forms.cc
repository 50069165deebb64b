#include "common/reward/cost_forms.h"

#include <algorithm>

#include "common/check.h"
#include "common/kind_table.h"

namespace routewright {
namespace {

// λ's bound, in shares of the score per budget: a budget that cannot be met must not grow it for ever.
constexpr double kMaxCostWeight = 10.0;

RewardParts Linear(const RewardConfig& config, double score, const EpisodeCost& cost) {
  const double alpha = config.cost_coefficient();
  return {score * (1 - alpha), alpha * cost.cost_reward * score};
}

RewardParts Gated(const RewardConfig& config, double score, const EpisodeCost& cost) {
  return {score, -score * std::min(config.usd_weight() * cost.usd, config.max_cost_penalty())};
}

RewardParts Budget(const RewardConfig& config, double score, const EpisodeCost& cost) {
  const double budgets = cost.usd / config.budget_usd_per_question();
  return {score, -std::min(cost.cost_weight * budgets, config.max_cost_penalty())};
}

struct Row {
  RewardConfig::CostForm name;
  RewardParts (*charge)(const RewardConfig& config, double score, const EpisodeCost& cost);
  bool ranks_costs;
  bool charges_a_budget;
};

constexpr Row kCostForms[] = {
    {RewardConfig::COST_FORM_LINEAR, Linear, /*ranks_costs=*/true, /*charges_a_budget=*/false},
    {RewardConfig::COST_FORM_GATED, Gated, /*ranks_costs=*/false, /*charges_a_budget=*/false},
    {RewardConfig::COST_FORM_BUDGET, Budget, /*ranks_costs=*/false, /*charges_a_budget=*/true},
};

static_assert(HasARowOfEach(kCostForms, RewardConfig::CostForm_ARRAYSIZE),
              "kCostForms needs a row of each CostForm of config.proto, in its order");

const Row& RowOf(const RewardConfig& config) {
  RW_CHECK(config.cost_form() != RewardConfig::COST_FORM_UNSPECIFIED) << "no cost form";
  return kCostForms[config.cost_form() - 1];
}

}  // namespace

RewardParts ChargeCost(const RewardConfig& config, double score, const EpisodeCost& cost) {
  RewardParts parts = RowOf(config).charge(config, score, cost);
  if (config.latency_weight() > 0.0) {
    parts.cost -=
        score * std::min(config.latency_weight() * cost.latency_s, config.max_cost_penalty());
  }
  return parts;
}

bool RanksCosts(const RewardConfig& config) { return RowOf(config).ranks_costs; }

bool ChargesABudget(const RewardConfig& config) { return RowOf(config).charges_a_budget; }

double NextCostWeight(const RewardConfig& config, double cost_weight, double mean_usd) {
  const double excess = mean_usd / config.budget_usd_per_question() - 1.0;
  return std::clamp(cost_weight + config.budget_rate() * excess, 0.0, kMaxCostWeight);
}

}  // namespace routewright
