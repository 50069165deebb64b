// Turns the components that workers send into rewards, in episode order: the cost reward is
// relative to the last costs of the episode's data source, apart for evaluation. Rank 0, one
// thread; the order of calls is part of the result.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <map>
#include <string>
#include <utility>

#include "common/reward/cost_window.h"
#include "proto/checkpoint.pb.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

class RewardComposer {
 public:
  explicit RewardComposer(const RewardConfig& config);

  // Sets cost_reward and reward. The window measures in micro-dollars. A POOL_FAILED or CANCELLED
  // trajectory is never scored: its cost enters no window, its rewards become 0.
  void Compose(Trajectory& trajectory);

  void Save(google::protobuf::RepeatedPtrField<CostWindowState>* windows) const;
  void Restore(const google::protobuf::RepeatedPtrField<CostWindowState>& windows);

 private:
  using Key = std::pair<std::string, bool>;  // data source, is evaluation
  CostWindow& WindowOf(const Key& key);

  const RewardConfig config_;
  std::map<Key, CostWindow> windows_;
};

}  // namespace routewright
