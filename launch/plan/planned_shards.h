// How a model will lie on the ranks of a run that has not been started: what trainer/sharding/rank_groups,
// trainer/sharding/sharded_weights and trainer/sharding/gradient_reducer decide from the config, for planning. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "launch/plan/memory_plan.h"
#include "policy/model/parameter_layout.h"

namespace routewright {

struct PlannedShards {
  int64_t shards = 1;                   // ranks that hold one share each of every block
  int64_t replicas = 1;                 // ranks that hold the same share
  std::vector<int64_t> block_elements;  // padded to a multiple of the ranks
  int64_t elements = 0;                 // of all blocks
  bool are_weights_on_demand = false;   // gathered block by block where they are used
  bool are_gradients_sharded = false;   // reduced in every backward, not once
};
PlannedShards PlanShards(const PlanInput& input, HeadKind head);

// Where the config's offload is in force: on a GPU.
ShardingConfig::Offload PlannedOffload(const PlanInput& input);

}  // namespace routewright
