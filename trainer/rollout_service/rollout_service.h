// Rank 0's door to the rollout workers: serves LearnerService over gRPC and is the learner's
// TrajectorySource. Handlers translate and call the lease table, the weight publisher or the worker
// list; the logic is there.
//
// Threads: the learner's thread calls the TrajectorySource methods; gRPC's threads run
// the handlers; one thread of its own (the clerk) expires leases and answers lease
// requests that wait for work.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "trainer/experience/trajectory_source.h"

namespace routewright {

// Listens at trainer.rollout_service.listen_address and writes the address in use to <run
// folder>/learner.address; before that the token that workers must show, once for the run, to <run
// folder>/learner.token. Fails: kUnavailable if the address can't be had; as the file system does.
absl::StatusOr<std::unique_ptr<TrajectorySource>> StartRolloutService(const RunConfig& config,
                                                                      int64_t vocabulary_size);

std::string GrpcLibraryVersion();

}  // namespace routewright
