#include "trainer/algorithm/kl_controller.h"

#include <algorithm>

namespace routewright {

KlController::KlController(const LossConfig& config)
    : coefficient_(config.kl_coefficient()),
      target_(config.kl_target()),
      horizon_(config.kl_horizon()) {}

void KlController::Update(double kl, int num_episodes) {
  if (target_ <= 0.0) return;
  const double error = std::clamp(kl / target_ - 1.0, -0.2, 0.2);
  // A batch larger than the horizon must not turn the penalty round.
  coefficient_ *= std::max(0.5, 1.0 + error * num_episodes / horizon_);
}

}  // namespace routewright
