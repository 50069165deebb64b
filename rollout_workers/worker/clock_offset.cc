#include "rollout_workers/worker/clock_offset.h"

#include <algorithm>

namespace routewright {
namespace {

constexpr size_t kExchanges = 16;

}  // namespace

void ClockOffset::Observe(absl::Time asked, absl::Time received, absl::Time sent,
                          absl::Time answered) {
  const absl::Duration on_the_wire = (answered - asked) - (sent - received);
  if (on_the_wire < absl::ZeroDuration()) return;  // a clock was set meanwhile
  exchanges_.push_back(
      {.on_the_wire = on_the_wire, .offset = ((received - asked) + (sent - answered)) / 2});
  if (exchanges_.size() > kExchanges) exchanges_.pop_front();
}

absl::Duration ClockOffset::offset() const {
  const auto fastest = std::min_element(
      exchanges_.begin(), exchanges_.end(),
      [](const Exchange& a, const Exchange& b) { return a.on_the_wire < b.on_the_wire; });
  return fastest == exchanges_.end() ? absl::ZeroDuration() : fastest->offset;
}

}  // namespace routewright
