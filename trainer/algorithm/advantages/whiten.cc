#include "trainer/algorithm/advantages/whiten.h"

#include <cmath>

namespace routewright {

void Whiten(std::span<double> advantages) {
  const size_t n = advantages.size();
  if (n == 0) return;
  double sum = 0.0;
  for (double advantage : advantages) sum += advantage;
  const double mean = sum / n;
  double squared_deviations = 0.0;
  for (double advantage : advantages) {
    squared_deviations += (advantage - mean) * (advantage - mean);
  }
  const double variance = n > 1 ? squared_deviations / (n - 1) : 0.0;
  const double scale = 1.0 / std::sqrt(variance + 1e-8);
  for (double& advantage : advantages) advantage = (advantage - mean) * scale;
}

}  // namespace routewright
