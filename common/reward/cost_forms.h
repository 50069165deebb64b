// How an episode's cost lowers its reward: the table of RewardConfig.CostForm, one row each. To add one: its value in
// proto/config.proto, its function and row in cost_forms.cc, its test. Pure; any thread.
#pragma once

#include "proto/config.pb.h"

namespace routewright {

// What an episode cost, as the forms see it.
struct EpisodeCost {
  double cost_reward = 0.0;  // CostWindow::RewardOf, in [0, 1]
  double usd = 0.0;          // of its calls
  double latency_s = 0.0;    // that it waited for its calls
  double cost_weight = 0.0;  // λ of the budget form as it stands, of the score per budget
};

// A reward in two parts, each of which can be normalised apart.
struct RewardParts {
  double score = 0.0;  // for answer and format
  double cost = 0.0;   // for cost and latency
  double sum() const { return score + cost; }
};

// The reward of a well-formed episode whose answer scores `score` in [0, 1], by config.cost_form():
//   linear  score·(1 − α) + α·cost_reward·score       Router-R1 (arXiv 2506.09033), times the score
//   gated   score − score·min(usd_weight·usd, cap)
//   budget  score − min(λ·usd/budget, cap)            the Lagrangian of: mean cost ≤ budget
// and in each − score·latency_weight·latency_s, down to score·(1 − cap); cap = max_cost_penalty.
RewardParts ChargeCost(const RewardConfig& config, double score, const EpisodeCost& cost);

// Whether costs are ranked in windows, and whether λ adapts to a budget.
bool RanksCosts(const RewardConfig& config);
bool ChargesABudget(const RewardConfig& config);

// Whether an answer that scores `score` is charged its cost: a wrong one only by the budget form.
bool ChargesScore(const RewardConfig& config, double score);

// λ after a step whose questions cost `mean_usd` on average: dual ascent on the Lagrangian, up to where
// that cost would take max_cost_penalty: beyond, cheap and dear would be charged alike.
double NextCostWeight(const RewardConfig& config, double cost_weight, double mean_usd);

}  // namespace routewright
