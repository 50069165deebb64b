// Where a worker finds its learner: at an address that it was told, or at the one that the learner
// writes into the run's folder, which is another one each time that it is started.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace routewright {

// "host:port" as it is now. Any thread. Fails: kUnavailable as long as no learner has written one.
using LearnerAddress = std::function<absl::StatusOr<std::string>()>;

LearnerAddress FixedLearnerAddress(const std::string& address);
// Read anew at each call (config_loader.h names the file: LearnerAddressFile).
LearnerAddress LearnerAddressInFile(const std::string& path);

}  // namespace routewright
