#include "trainer/algorithm/advantages/gae.h"

#include "common/check.h"

namespace routewright {

GaeResult Gae(std::span<const double> rewards, std::span<const double> values, double gamma,
              double lambda) {
  RW_CHECK(rewards.size() == values.size())
      << rewards.size() << " rewards, " << values.size() << " values";
  const size_t n = rewards.size();
  GaeResult result{std::vector<double>(n), std::vector<double>(n)};
  double next_value = 0.0;
  double next_advantage = 0.0;
  for (size_t t = n; t-- > 0;) {
    const double delta = rewards[t] + gamma * next_value - values[t];
    next_advantage = delta + gamma * lambda * next_advantage;
    next_value = values[t];
    result.advantages[t] = next_advantage;
    result.returns[t] = next_advantage + values[t];
  }
  return result;
}

}  // namespace routewright
