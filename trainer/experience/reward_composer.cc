#include "trainer/experience/reward_composer.h"

#include <vector>

#include "common/reward/reward.h"

namespace routewright {
namespace {

constexpr double kPicousdPerMicrousd = 1e6;

}  // namespace

RewardComposer::RewardComposer(const RewardConfig& config) : config_(config) {}

void RewardComposer::Compose(Trajectory& trajectory) {
  trajectory.set_cost_reward(0.0);
  trajectory.set_reward(0.0);
  if (!IsScored(trajectory.status())) return;
  CostWindow& window =
      WindowOf({trajectory.question().data_source(), trajectory.purpose() == PURPOSE_EVAL});
  const double cost_reward =
      window.Add(trajectory.components().cost_picousd() / kPicousdPerMicrousd);
  trajectory.set_cost_reward(cost_reward);
  trajectory.set_reward(ComposeReward(config_, trajectory.components(), cost_reward));
}

CostWindow& RewardComposer::WindowOf(const Key& key) {
  return windows_.try_emplace(key, config_.cost_window()).first->second;
}

void RewardComposer::Save(google::protobuf::RepeatedPtrField<CostWindowState>* windows) const {
  windows->Clear();
  for (const auto& [key, window] : windows_) {
    CostWindowState* state = windows->Add();
    state->set_data_source(key.first);
    state->set_is_evaluation(key.second);
    for (double root_cost : window.root_costs()) state->add_root_costs(root_cost);
  }
}

void RewardComposer::Restore(const google::protobuf::RepeatedPtrField<CostWindowState>& windows) {
  windows_.clear();
  for (const CostWindowState& state : windows) {
    const std::vector<double> root_costs(state.root_costs().begin(), state.root_costs().end());
    WindowOf({state.data_source(), state.is_evaluation()}).Restore(root_costs);
  }
}

}  // namespace routewright
