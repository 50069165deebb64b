// Collectives over MPI between host buffers. Sums are made in rank order by our own reduce-scatter:
// each rank receives every rank's piece of its shard and adds them 0 + 1 + 2 + …, so the bits
// depend neither on MPI's choice of algorithm nor on how a buffer was cut.
#pragma once

#include <memory>

#include "trainer/comm/communicator.h"
#include "trainer/comm/mpi_thread.h"

namespace routewright {

// Of all ranks, over a thread that has initialised MPI.
std::unique_ptr<Communicator> NewMpiCommunicator(std::shared_ptr<MpiThread> thread);

}  // namespace routewright
