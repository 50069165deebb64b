// The thread on which an httplib::Server, bound to its port already, listens. A template, so that
// only the doors to HTTP include the library.
#pragma once

#include <atomic>
#include <thread>

#include "absl/time/clock.h"

namespace routewright {

// Destroyed after the server's stop(), it waits for the thread's end.
class ServingThread {
 public:
  // True once the server runs, so that its stop() has an effect; false if it gave up at once.
  // `server` must outlive this object. Once.
  template <typename Server>
  bool Start(Server& server) {
    thread_ = std::jthread([this, &server] {
      server.listen_after_bind();
      has_ended_ = true;
    });
    while (!server.is_running() && !has_ended_) absl::SleepFor(absl::Milliseconds(1));
    return !has_ended_;
  }

 private:
  std::atomic<bool> has_ended_ = false;
  std::jthread thread_;  // last: dies first
};

}  // namespace routewright
