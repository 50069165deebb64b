// Turns an episode's cost into a reward in [0, 1], relative to the last costs of its data source:
// r = √cost; low, high = 5th and 95th percentile (linear interpolation) of the last `capacity` r,
// or min and max while there are fewer than 2; 0.5 if high − low < 1e-8, else 1 − clip((r − low) /
// (high − low), 0, 1). Source: Router-R1 (arXiv 2506.09033), its cost reward. One thread; order
// matters.
#pragma once

#include <deque>
#include <span>
#include <vector>

namespace routewright {

class CostWindow {
 public:
  explicit CostWindow(int capacity);
  // Appends √cost. cost ≥ 0, any unit, the same for every call.
  void Append(double cost);
  // The reward of a cost against the window as it stands; 0.5 if that is empty.
  double RewardOf(double cost) const;
  // As the published code does it: Append, then RewardOf.
  double Add(double cost);
  std::vector<double> root_costs() const;            // oldest first
  void Restore(std::span<const double> root_costs);  // keeps the newest `capacity`

 private:
  int capacity_;
  std::deque<double> root_costs_;
  mutable std::vector<double>
      sorted_;  // root_costs_, ascending; empty: not sorted since they changed
};

}  // namespace routewright
