// Alarms on whom the policy names: each is raised once, and again only after it had passed. One thread.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace routewright {

// Routing has collapsed onto one model.
class CollapseAlarm {
 public:
  explicit CollapseAlarm(double bound_nats) : bound_nats_(bound_nats) {}

  // Whether this step's entropy of the models' shares is the first below the bound.
  bool IsRaisedBy(double share_entropy_nats) {
    const bool was_collapsed = is_collapsed_;
    is_collapsed_ = share_entropy_nats < bound_nats_;
    return is_collapsed_ && !was_collapsed;
  }

 private:
  double bound_nats_;
  bool is_collapsed_ = false;
};

// A model is about to be lost: of its own choice the policy hardly names it any more.
class LostModelAlarm {
 public:
  // `bound_share` of the calls, averaged over about the last eight steps, and over the first eight at
  // least: fewer say little. 0: never.
  explicit LostModelAlarm(double bound_share) : bound_share_(bound_share) {}

  // The models whose mean share falls below the bound with this step.
  std::vector<std::string> RaisedBy(const std::map<std::string, double>& shares) {
    std::vector<std::string> lost;
    for (const auto& [model, share] : shares) {
      Mean& mean = means_[model];
      mean.steps = std::min(mean.steps + 1.0, kSteps);
      mean.share += (share - mean.share) / mean.steps;
      const bool was_lost =
          std::exchange(mean.is_lost, mean.steps == kSteps && mean.share < bound_share_);
      if (mean.is_lost && !was_lost) lost.push_back(model);
    }
    return lost;
  }

 private:
  static constexpr double kSteps = 8.0;
  struct Mean {
    double steps = 0.0, share = 0.0;
    bool is_lost = false;
  };
  double bound_share_;
  std::map<std::string, Mean> means_;  // by model
};

}  // namespace routewright
