#include "launch/plan/planned_shards.h"

#include <algorithm>

namespace routewright {

PlannedShards PlanShards(const PlanInput& input, HeadKind head) {
  const ShardingConfig& sharding = input.config.sharding();
  PlannedShards planned;
  if (sharding.stage() != ShardingConfig::STAGE_REPLICATED) {
    planned.shards =
        sharding.within_host() ? std::min(input.ranks, input.ranks_per_host) : input.ranks;
  }
  planned.replicas = std::max<int64_t>(1, input.ranks / planned.shards);
  const ParameterLayout layout(input.model, head);
  for (const BlockLayout& block : layout.blocks()) {
    planned.block_elements.push_back((block.num_elements + input.ranks - 1) / input.ranks *
                                     input.ranks);
    planned.elements += planned.block_elements.back();
  }
  const bool is_all_offloaded = PlannedOffload(input) == ShardingConfig::OFFLOAD_ALL;
  planned.are_weights_on_demand =
      is_all_offloaded || (sharding.stage() == ShardingConfig::STAGE_FULL && planned.shards > 1);
  planned.are_gradients_sharded =
      is_all_offloaded ||
      (sharding.stage() >= ShardingConfig::STAGE_GRADIENTS && planned.shards > 1);
  return planned;
}

ShardingConfig::Offload PlannedOffload(const PlanInput& input) {
  return input.has_gpu ? input.config.sharding().offload() : ShardingConfig::OFFLOAD_NONE;
}

}  // namespace routewright
