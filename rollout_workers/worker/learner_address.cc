#include "rollout_workers/worker/learner_address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/file_system.h"
#include "common/network_address.h"

namespace routewright {

LearnerAddress FixedLearnerAddress(const std::string& address) {
  return [address]() -> absl::StatusOr<std::string> { return address; };
}

LearnerAddress LearnerAddressInFile(const std::string& path) {
  return [path]() -> absl::StatusOr<std::string> {
    const absl::StatusOr<std::string> content = FileSystem::Posix().Read(path);
    if (!content.ok()) {
      return absl::UnavailableError(absl::IsNotFound(content.status())
                                        ? absl::StrCat("no learner has written ", path)
                                        : std::string(content.status().message()));
    }
    std::string address(absl::StripAsciiWhitespace(*content));
    if (!ParseNetworkAddress(address).has_value()) {
      return absl::UnavailableError(
          absl::StrCat(path, ": \"", address.substr(0, 80), "\" is not HOST:PORT"));
    }
    return address;
  };
}

}  // namespace routewright
