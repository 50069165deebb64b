#include "common/reward/cost_window.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace routewright {
namespace {

constexpr double kLowShare = 0.05, kHighShare = 0.95, kLeastSpread = 1e-8;

// The value at `share` of the way through `sorted` (not empty), linear between neighbours.
double Percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

}  // namespace

CostWindow::CostWindow(int capacity) : capacity_(capacity) {
  RW_CHECK(capacity >= 1) << "a cost window of " << capacity << " costs";
}

void CostWindow::Append(double cost) {
  RW_CHECK(cost >= 0 && std::isfinite(cost)) << "a cost of " << cost;
  root_costs_.push_back(std::sqrt(cost));
  if (root_costs_.size() > static_cast<size_t>(capacity_)) root_costs_.pop_front();
  sorted_.clear();
}

double CostWindow::RewardOf(double cost) const {
  if (root_costs_.empty()) return 0.5;
  if (sorted_.empty()) {
    sorted_.assign(root_costs_.begin(), root_costs_.end());
    std::sort(sorted_.begin(), sorted_.end());
  }
  // A window of one has its minimum and maximum at both percentiles.
  const double low = Percentile(sorted_, kLowShare), high = Percentile(sorted_, kHighShare);
  if (high - low < kLeastSpread) return 0.5;
  return 1 - std::clamp((std::sqrt(cost) - low) / (high - low), 0.0, 1.0);
}

double CostWindow::Add(double cost) {
  Append(cost);
  return RewardOf(cost);
}

std::vector<double> CostWindow::root_costs() const {
  return {root_costs_.begin(), root_costs_.end()};
}

void CostWindow::Restore(std::span<const double> root_costs) {
  const size_t kept = std::min(root_costs.size(), static_cast<size_t>(capacity_));
  root_costs_.assign(root_costs.end() - static_cast<ptrdiff_t>(kept), root_costs.end());
  sorted_.clear();
}

}  // namespace routewright
