// The ranks' spans, brought to rank 0 with what their clocks differ by.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "proto/trace.pb.h"
#include "trainer/comm/communicator.h"

namespace routewright {

// Ends this rank's trace. Collective; rank 0 gets all ranks', in their order, the others nothing.
// Clocks are compared after barriers: the offsets are as good as a barrier lets ranks go at once
// (tens of microseconds inside a host; the network's latency between hosts). Fails as the
// collectives do, and on rank 0, once all are done with it, kDataLoss.
absl::StatusOr<std::vector<RankTrace>> GatherTraces(Communicator& communicator);

}  // namespace routewright
