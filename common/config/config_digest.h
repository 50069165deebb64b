// One number for everything in a config that a worker acts on: the learner and its workers compare
// it before they work together. Any thread.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/config.pb.h"

namespace routewright {

// Digest of what an episode depends on: the prompt with the texts of its template files, episode
// limits, the pool's models and the chat template. Where a file, a policy folder or an endpoint
// lies, timeouts and the worker's own settings may differ from host to host. Fails: as `files` does
// for a template file that cannot be read.
absl::StatusOr<uint64_t> WorkerConfigDigest(const RunConfig& config,
                                            FileSystem& files = FileSystem::Posix());

}  // namespace routewright
