#include "trainer/loop/followers.h"

#include <string>

namespace routewright {

absl::Status Followers::Tell(const StepMessage& message) {
  last_message_ = absl::Now();
  if (!are_there()) return absl::OkStatus();
  std::string bytes = SerializeStepMessage(message);
  return BroadcastString(communicator_, "step_message", bytes, /*root=*/0);
}

}  // namespace routewright
