#include "trainer/experience/reward_composer.h"

#include <set>
#include <vector>

#include "common/money/money.h"
#include "common/reward/reward.h"
#include "common/trajectory_facts.h"
#include "trainer/experience/trial_plan.h"

namespace routewright {
namespace {

constexpr double kPicousdPerMicrousd = 1e6;

}  // namespace

RewardComposer::RewardComposer(const RunConfig& config) : config_(config) {}

void RewardComposer::Compose(std::span<Trajectory> trajectories) {
  if (RanksCosts(config_.reward())) RankCosts(trajectories);
  for (Trajectory& trajectory : trajectories) {
    trajectory.set_cost_reward(0.0);
    RewardParts parts;
    if (IsScored(trajectory.status())) {
      if (RanksCosts(config_.reward())) {
        const CostWindow& window = WindowOf(KeyOf(trajectory));
        trajectory.set_cost_reward(
            window.RewardOf(ChargedPicousd(trajectory.components()) / kPicousdPerMicrousd));
      }
      parts = ComposeReward(config_.reward(), trajectory.components(),
                            {.cost_reward = trajectory.cost_reward(),
                             .usd = PicousdToUsd(ChargedPicousd(trajectory.components())),
                             .latency_s = trajectory.pool_wait_ms() / 1000.0,
                             .cost_weight = cost_weight_});
    }
    trajectory.set_score_reward(parts.score);
    trajectory.set_reward(parts.sum());
  }
}

void RewardComposer::RankCosts(std::span<const Trajectory> trajectories) {
  std::set<Key> closed;  // evaluations' windows that an earlier step filled
  for (const auto& [key, window] : windows_) {
    if (key.second) closed.insert(key);
  }
  for (const Trajectory& trajectory : trajectories) {
    if (!IsScored(trajectory.status()) || closed.contains(KeyOf(trajectory))) continue;
    WindowOf(KeyOf(trajectory))
        .Append(ChargedPicousd(trajectory.components()) / kPicousdPerMicrousd);
  }
}

void RewardComposer::AdaptToBudget(std::span<const Trajectory> trajectories) {
  own_cost_usd_.reset();
  if (!ChargesABudget(config_.reward())) return;
  double usd = 0.0, count = 0.0;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != PURPOSE_TRAIN || !IsScored(trajectory.status())) continue;
    const double weight = TrialFreeWeight(config_, trajectory);
    usd += weight * PicousdToUsd(ChargedPicousd(trajectory.components()));
    count += weight;
  }
  if (count == 0.0) return;
  own_cost_usd_ = usd / count;
  cost_weight_ = NextCostWeight(config_.reward(), cost_weight_, *own_cost_usd_);
}

RewardComposer::Key RewardComposer::KeyOf(const Trajectory& trajectory) {
  return {trajectory.question().data_source(), trajectory.purpose() == PURPOSE_EVAL};
}

CostWindow& RewardComposer::WindowOf(const Key& key) {
  return windows_.try_emplace(key, config_.reward().cost_window()).first->second;
}

void RewardComposer::Save(LearnerState& state) const {
  state.set_cost_weight(cost_weight_);
  state.clear_cost_windows();
  for (const auto& [key, window] : windows_) {
    CostWindowState* saved = state.add_cost_windows();
    saved->set_data_source(key.first);
    saved->set_is_evaluation(key.second);
    for (double root_cost : window.root_costs()) saved->add_root_costs(root_cost);
  }
}

void RewardComposer::Restore(const LearnerState& state) {
  cost_weight_ = state.cost_weight();
  windows_.clear();
  for (const CostWindowState& saved : state.cost_windows()) {
    const std::vector<double> root_costs(saved.root_costs().begin(), saved.root_costs().end());
    WindowOf({saved.data_source(), saved.is_evaluation()}).Restore(root_costs);
  }
}

}  // namespace routewright
