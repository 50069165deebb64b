// The communicator of one process: every collective is the identity and is done at once.
#pragma once

#include <memory>

#include "trainer/comm/communicator.h"

namespace routewright {

std::unique_ptr<Communicator> NewLocalCommunicator();

}  // namespace routewright
