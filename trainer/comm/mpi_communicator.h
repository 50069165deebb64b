// Collectives over MPI between host buffers. Sums are made in rank order by our own reduce-scatter:
// each rank receives every rank's piece of its shard and adds them 0 + 1 + 2 + …, so the bits
// depend neither on MPI's choice of algorithm nor on how a buffer was cut.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/comm/communicator.h"

namespace switchyard {

// Initialises MPI on a thread of the communicator's own; once a process. Fails: kUnavailable.
// `report_path` as in NewCommunicator.
absl::StatusOr<std::unique_ptr<Communicator>> NewMpiCommunicator(absl::Duration deadline,
                                                                 const std::string& report_path);

}  // namespace switchyard
