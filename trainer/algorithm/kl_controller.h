// The coefficient of the KL penalty: fixed, or steered so that the measured KL stays near a target.
// One thread. Source: Ziegler et al. 2019 (arXiv 1909.08593), section 2.2.
#pragma once

#include "proto/config.pb.h"

namespace routewright {

class KlController {
 public:
  // Uses kl_coefficient, kl_target (0 = fixed) and kl_horizon.
  explicit KlController(const LossConfig& config);
  double coefficient() const { return coefficient_; }
  // Whether the coefficient moves; else it is the config's, in a resumed run too.
  bool adapts() const { return target_ > 0.0; }
  // After a step: β ← β·(1 + clip(kl/target − 1, ±0.2)·episodes/horizon). `kl` in nats per
  // token, mean of the batch.
  void Update(double kl, int num_episodes);
  void Restore(double coefficient) { coefficient_ = coefficient; }

 private:
  double coefficient_;
  double target_;
  double horizon_;
};

}  // namespace routewright
