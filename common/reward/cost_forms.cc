#include "common/reward/cost_forms.h"

#include <algorithm>

#include "common/check.h"
#include "common/kind_table.h"

namespace routewright {
namespace {

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
    // Money and time together take no more than max_cost_penalty, unless money alone does.
    const double least = std::min(parts.sum(), score * (1.0 - config.max_cost_penalty()));
    const double left = parts.sum() - score * config.latency_weight() * cost.latency_s;
    parts.cost = std::max(left, least) - parts.score;
  }
  return parts;
}

bool RanksCosts(const RewardConfig& config) { return RowOf(config).ranks_costs; }

bool ChargesABudget(const RewardConfig& config) { return RowOf(config).charges_a_budget; }

bool ChargesScore(const RewardConfig& config, double score) {
  return score > 0.0 || RowOf(config).charges_a_budget;
}

double NextCostWeight(const RewardConfig& config, double cost_weight, double mean_usd) {
  const double budgets = mean_usd / config.budget_usd_per_question();
  const double largest = config.max_cost_penalty() / std::max(1.0, budgets);
  return std::clamp(cost_weight + config.budget_rate() * (budgets - 1.0), 0.0, largest);
}

}  // namespace routewright
