#include "trainer/algorithm/losses/kl.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace routewright {
namespace {

constexpr double kLowVarianceLimit = 10.0;

double LowVariance(double d) { return std::exp(-d) + d - 1.0; }

}  // namespace

LossConfig::KlEstimator KlEstimatorOf(const LossConfig& config) {
  if (config.kl_estimator() != LossConfig::KL_ESTIMATOR_AUTO) return config.kl_estimator();
  return config.kl_placement() == LossConfig::KL_PLACEMENT_REWARD
             ? LossConfig::KL_ESTIMATOR_K1
             : LossConfig::KL_ESTIMATOR_LOW_VAR;
}

double KlPenalty(LossConfig::KlEstimator estimator, double logprob, double reference_logprob) {
  const double d = logprob - reference_logprob;
  switch (estimator) {
    case LossConfig::KL_ESTIMATOR_K1:
      return d;
    case LossConfig::KL_ESTIMATOR_ABS:
      return std::abs(d);
    case LossConfig::KL_ESTIMATOR_MSE:
      return 0.5 * d * d;
    case LossConfig::KL_ESTIMATOR_LOW_VAR:
      return std::clamp(LowVariance(d), -kLowVarianceLimit, kLowVarianceLimit);
    default:
      RW_CHECK(false) << "KL estimator " << estimator;
      return 0.0;
  }
}

double KlPenaltyGradient(LossConfig::KlEstimator estimator, double logprob,
                         double reference_logprob) {
  const double d = logprob - reference_logprob;
  switch (estimator) {
    case LossConfig::KL_ESTIMATOR_K1:
      return 1.0;
    case LossConfig::KL_ESTIMATOR_ABS:
      return d > 0.0 ? 1.0 : (d < 0.0 ? -1.0 : 0.0);
    case LossConfig::KL_ESTIMATOR_MSE:
      return d;
    case LossConfig::KL_ESTIMATOR_LOW_VAR:
      return LowVariance(d) > kLowVarianceLimit ? 0.0 : 1.0 - std::exp(-d);
    default:
      RW_CHECK(false) << "KL estimator " << estimator;
      return 0.0;
  }
}

}  // namespace routewright
