// Ranks that have to come to one mind: whoever fails alone must not leave the others in a
// collective that he never enters.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "trainer/comm/communicator.h"

namespace routewright {

// OK on every rank if `mine` is OK on every rank; else, on every rank, what the lowest rank that
// failed has to say. Collective; fails as the collectives do. `name` names them.
absl::Status AgreeOnStatus(Communicator& communicator, std::string_view name,
                           const absl::Status& mine);

// That ranks were started alike: `mine` says how, a fact on each line. OK on every rank if all say
// the same; else, on every rank, kInvalidArgument with the first line in which the lowest rank that
// differs does so from rank 0. Collective; fails as the collectives do.
absl::Status AgreeOnStart(Communicator& communicator, const std::string& mine);

}  // namespace routewright
