// Turns the components that workers send into rewards, a plan of episodes at a time. Every episode of
// a plan is scored against the same things: costs are ranked in one window a data source, that
// already holds the plan's own costs, and the weight of the budget form stands still. So equal
// episodes of a group have equal rewards. Rank 0, one thread; the order of steps, and of episodes in them, is part of
// the result.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "common/reward/cost_window.h"
#include "proto/checkpoint.pb.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

class RewardComposer {
 public:
  explicit RewardComposer(const RunConfig& config);

  // Sets cost_reward, score_reward and reward. A POOL_FAILED or CANCELLED trajectory is never scored:
  // its cost enters no window, its rewards become 0. Windows measure in micro-dollars. Those of
  // evaluations keep the costs of the first one, so that rewards of evaluations can be compared.
  void Compose(std::span<Trajectory> trajectories);

  // After a step, with the budget form: adapts λ to what the training episodes cost as the policy
  // chooses: those with a trial are left out, the others weighted (TrialFreeWeight).
  void AdaptToBudget(std::span<const Trajectory> trajectories);

  // λ of reward.cost_form: budget.
  double cost_weight() const { return cost_weight_; }
  // What λ was adapted to by the last step, in USD per question. Unset: no episode of it counts, or another form.
  std::optional<double> own_cost_usd() const { return own_cost_usd_; }

  void Save(LearnerState& state) const;
  void Restore(const LearnerState& state);

 private:
  using Key = std::pair<std::string, bool>;  // data source, is evaluation
  static Key KeyOf(const Trajectory& trajectory);
  CostWindow& WindowOf(const Key& key);
  void RankCosts(std::span<const Trajectory> trajectories);

  const RunConfig config_;
  std::map<Key, CostWindow> windows_;
  double cost_weight_ = 0.0;
  std::optional<double> own_cost_usd_;
};

}  // namespace routewright
