#include "launch/plan/step_traffic.h"

#include <algorithm>

#include "launch/plan/planned_shards.h"

namespace routewright {
namespace {

constexpr double kF32Bytes = 4.0;

// What each of n ranks sends of a buffer in one turn of the ring.
double ShareSent(int64_t n) { return static_cast<double>(n - 1) / static_cast<double>(n); }

// Elements that are gathered in a pass of a model whose weights come on demand.
double GatheredElements(const PlannedShards& planned, bool is_tied, bool with_gradient) {
  const auto embedding = static_cast<double>(planned.block_elements.front());
  const auto head = static_cast<double>(planned.block_elements.back());
  const double blocks = static_cast<double>(planned.elements) - embedding - head;
  return (is_tied ? 2.0 : 1.0) * embedding + (with_gradient ? 2.0 : 1.0) * blocks + head;
}

}  // namespace

Traffic PlanTraffic(const PlanInput& input, HeadKind head, const PassCounts& passes,
                    const DeviceSpeed& device) {
  const PlannedShards planned = PlanShards(input, head);
  const double between_hosts = std::min(device.bytes_per_s_in_host, device.bytes_per_s_of_hosts);
  const auto rate = [&](bool is_in_host) {
    return is_in_host ? device.bytes_per_s_in_host : between_hosts;
  };
  const bool is_one_host = input.ranks <= input.ranks_per_host;
  const bool are_shards_in_host = planned.shards <= input.ranks_per_host &&
                                  (is_one_host || input.config.sharding().within_host());
  Traffic traffic;
  const auto add = [&](double bytes, bool is_in_host, bool is_hidden) {
    traffic.bytes += bytes;
    (is_hidden ? traffic.hidden_s : traffic.exposed_s) += bytes / rate(is_in_host);
  };

  const auto steps = static_cast<double>(passes.optimizer_steps);
  const auto backwards = static_cast<double>(passes.with_gradient);
  const auto elements = static_cast<double>(planned.elements);
  const auto element_bytes = static_cast<double>(input.bytes_per_element);
  const double sent = ShareSent(planned.shards);
  if (planned.are_weights_on_demand) {
    const bool is_tied = input.model.is_tied && head == HeadKind::kLanguageModel;
    const double gathered =
        backwards * GatheredElements(planned, is_tied, /*with_gradient=*/true) +
        static_cast<double>(passes.forward_only) * GatheredElements(planned, is_tied, false);
    add(sent * gathered * element_bytes, are_shards_in_host, input.config.sharding().prefetch());
  } else {
    add(sent * steps * elements * element_bytes, are_shards_in_host, /*is_hidden=*/false);
  }
  const double reductions = planned.are_gradients_sharded ? backwards : steps;
  add(sent * reductions * elements * kF32Bytes, are_shards_in_host, planned.are_gradients_sharded);
  const double share = elements / static_cast<double>(planned.shards);
  add(2.0 * ShareSent(planned.replicas) * steps * share * kF32Bytes, is_one_host,
      /*is_hidden=*/false);
  return traffic;
}

}  // namespace routewright
