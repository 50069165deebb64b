// The table of pool protocols, one row each.
#pragma once

#include "proto/config.pb.h"
#include "rollout_workers/pool/protocols/pool_protocol.h"

namespace routewright {

// The model's protocol, which lives as long as the program. Any thread.
const PoolProtocol& ProtocolOf(const PoolModelConfig& model);

}  // namespace routewright
