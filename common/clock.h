// Time, replaceable in tests. Thread-safe.
#pragma once

#include "absl/time/time.h"

namespace routewright {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;
  static Clock& Real();
};

// Moves only when told to. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start = absl::UnixEpoch()) : nanos_(absl::ToUnixNanos(start)) {}
  absl::Time Now() override {
    return absl::FromUnixNanos(__atomic_load_n(&nanos_, __ATOMIC_SEQ_CST));
  }
  void Advance(absl::Duration by) {
    __atomic_fetch_add(&nanos_, absl::ToInt64Nanoseconds(by), __ATOMIC_SEQ_CST);
  }

 private:
  int64_t nanos_;
};

}  // namespace routewright
