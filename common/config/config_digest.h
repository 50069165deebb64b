// One number for everything in a config that a worker acts on: the learner and its workers compare
// it before they work together. Any thread.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/config.pb.h"

namespace routewright {

// Digest of what an episode depends on: the prompt with the texts of its template files, episode
// limits, the section `pool` and the chat template. May differ from host to host: where a file, a
// policy folder or an endpoint lies, a model's key and max_concurrency, and the section `worker`.
// Fails: as `files` does for a template file that cannot be read.
absl::StatusOr<uint64_t> WorkerConfigDigest(const RunConfig& config,
                                            FileSystem& files = FileSystem::Posix());

}  // namespace routewright
