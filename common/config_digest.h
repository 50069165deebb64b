// One number for everything in a config that a worker acts on: the learner and its workers compare
// it before they work together. Pure; any thread.
#pragma once

#include <cstdint>

#include "proto/config.pb.h"

namespace switchyard {

// Digest of what an episode depends on: prompt, episode limits, the pool's models and the chat
// template. Where a policy folder or an endpoint lies, timeouts and the worker's own settings may
// differ from host to host.
uint64_t WorkerConfigDigest(const RunConfig& config);

}  // namespace switchyard
