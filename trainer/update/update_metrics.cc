#include "trainer/update/update_metrics.h"

#include <algorithm>

#include "common/config/algorithm_facts.h"

namespace routewright {

Metrics DescribeUpdate(const TrainerConfig& config, const UpdateMetrics& update,
                       double kl_coefficient) {
  const ObjectiveSums& sums = update.policy;
  const double tokens = std::max(1.0, sums.tokens);
  const bool is_supervised = FactsOf(config).learns_from_demonstrations();
  const bool has_kl = kl_coefficient > 0.0 && !is_supervised;
  Metrics metrics;
  const bool is_critic_alone = sums.tokens == 0 && update.value_tokens > 0;  // it warms up
  if (!is_critic_alone) {
    metrics.Set("policy/loss", sums.loss);
    metrics.Set("policy/entropy_nats", sums.entropy / tokens);
  }
  if (sums.name_tokens > 0) {
    metrics.Set("policy/name_entropy_nats", sums.name_entropy / sums.name_tokens);
  }
  if (!is_supervised && !is_critic_alone) {
    metrics.Set("policy/clip_share", sums.clipped_tokens / tokens);
    metrics.Set("policy/approximate_kl_nats", sums.old_minus_new / tokens);
    metrics.Set("policy/sampler_gap_nats", sums.sampler_gap / tokens);
  }
  if (config.loss().importance_cap() > 0.0 && !is_critic_alone) {
    metrics.Set("policy/importance_weight_mean", sums.importance_weight / tokens);
  }
  if (has_kl) {
    if (!is_critic_alone) metrics.Set("policy/reference_kl_nats", sums.kl / tokens);
    metrics.Set("policy/kl_coefficient", kl_coefficient);
  }
  if (!is_critic_alone) metrics.Set("policy/gradient_norm", update.gradient_norm);
  metrics.Set("policy/learning_rate", update.learning_rate);
  if (FactsOf(config).needs_critic()) {
    metrics.Set("critic/loss", update.value_loss);
    metrics.Set("critic/clip_share",
                update.value_clipped_tokens / std::max(1.0, update.value_tokens));
    metrics.Set("critic/gradient_norm", update.critic_gradient_norm);
  }
  metrics.Set("step/micro_batches", update.micro_batches_per_rank);
  metrics.Set("step/work_imbalance", update.work_imbalance);
  metrics.Set("step/gather_wait_s", update.gather_wait_s);
  return metrics;
}

}  // namespace routewright
