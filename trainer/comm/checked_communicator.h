// For debugging: before each collective every rank says which one it is about to start. Ranks whose
// orders differ then learn at once where, instead of waiting for each other, or worse, adding up
// what does not belong together. Each collective waits for all ranks: slow.
#pragma once

#include <memory>

#include "trainer/comm/communicator.h"

namespace routewright {

// When ranks are about to start different collectives (another name, kind, number or type of
// elements, or root), that collective and all later ones fail on every rank: kFailedPrecondition
// with what rank 0 and the first rank that differs start.
std::unique_ptr<Communicator> NewCheckedCommunicator(std::unique_ptr<Communicator> communicator);

}  // namespace routewright
