// How far the learner's clock is ahead of this host's, estimated from answers that say when they
// were asked for and sent. One thread.
#pragma once

#include <deque>

#include "absl/time/time.h"

namespace routewright {

class ClockOffset {
 public:
  // One exchange: asked and answered by this host's clock, received and sent by the learner's. Of
  // the last few the one that was fastest on the wire counts, for its error is at most half of its
  // time there (RFC 5905, sections 8 and 10).
  void Observe(absl::Time asked, absl::Time received, absl::Time sent, absl::Time answered);
  // To be added to this host's times; 0 before the first exchange.
  absl::Duration offset() const;

 private:
  struct Exchange {
    absl::Duration on_the_wire;
    absl::Duration offset;
  };
  std::deque<Exchange> exchanges_;  // the last kExchanges
};

}  // namespace routewright
