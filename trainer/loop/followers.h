// Rank 0's voice: what it tells the ranks that follow it (trainer/loop/step_message). One thread.
#pragma once

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "trainer/comm/communicator.h"
#include "trainer/loop/step_message.h"

namespace routewright {

class Followers {
 public:
  // `communicator` must outlive this object.
  explicit Followers(Communicator* communicator) : communicator_(*communicator) {}

  // Collective. Alone, rank 0 tells nobody. Fails as the communicator does.
  absl::Status Tell(const StepMessage& message);
  // How long they have heard nothing; they wait in a broadcast, which has a deadline.
  absl::Duration silence() const { return absl::Now() - last_message_; }
  bool are_there() const { return communicator_.size() > 1; }

 private:
  Communicator& communicator_;
  absl::Time last_message_ = absl::Now();
};

}  // namespace routewright
