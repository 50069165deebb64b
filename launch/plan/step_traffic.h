// What the collectives of a step's update carry, as trainer/sharding/sharded_weights and
// trainer/sharding/gradient_reducer start them: weights in the compute type, gradients
// in f32. Pure; any thread.
#pragma once

#include <cstdint>

#include "launch/plan/device_speed.h"
#include "launch/plan/memory_plan.h"
#include "policy/model/parameter_layout.h"

namespace routewright {

// How often a model's collectives run in a step.
struct PassCounts {
  int64_t with_gradient = 0;    // forward and backward of a micro-batch
  int64_t forward_only = 0;     // scoring one
  int64_t optimizer_steps = 0;  // 0: the model does not learn
};

// Of one rank. A ring's bytes, sent and received alike: (n − 1) / n of the buffer for an all-gather
// or a reduce-scatter, twice that for an all-reduce. Source: Thakur et al. 2005.
struct Traffic {
  double bytes = 0;
  double hidden_s = 0;   // that can run behind arithmetic: gathers that are prefetched,
                         // reduce-scatters of blocks that the backward has left
  double exposed_s = 0;  // that the rank waits for
};

// `head`: which of policy (or reference) and critic.
//   replicated   all-reduce of the gradients, once an optimizer step
//   optimizer    reduce-scatter of the gradients and all-gather of the weights, once
//   gradients    reduce-scatter in every backward, all-gather of the weights once
//   full         all-gather of each block in every forward and again in every backward (embedding:
//                forward only, and with the head where tied), reduce-scatter in every backward
//   within_host  also an all-reduce of the shares' gradients between hosts, once
// A ring goes at the pace of its slowest link. Offloading's copies to and from the host are not in
// it.
Traffic PlanTraffic(const PlanInput& input, HeadKind head, const PassCounts& passes,
                    const DeviceSpeed& device);

}  // namespace routewright
