#include "common/clock.h"

#include "absl/time/clock.h"

namespace routewright {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
};

}  // namespace

Clock& Clock::Real() {
  static auto* clock = new RealClock;
  return *clock;
}

}  // namespace routewright
