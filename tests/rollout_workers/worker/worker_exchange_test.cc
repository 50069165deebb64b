#include "rollout_workers/worker/worker_exchange.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

absl::Duration Waited(WorkerExchange& exchange) {
  return exchange.WaitForSlots(absl::ZeroDuration()).waited_for_lease;
}

// Whether the wait goes on: polled, since a clock may stand still between two readings.
bool Grows(WorkerExchange& exchange, int readings) {
  const absl::Duration before = Waited(exchange);
  while (readings-- > 0) {
    if (Waited(exchange) > before) return true;
  }
  return false;
}

TEST(WorkerExchangeTest, WaitsForALeaseUntilItHasOneAndAgainWhenNoneIsLeft) {
  constexpr int kForever = 1 << 30, kAWhile = 1000;
  WorkerExchange exchange(/*max_episodes=*/4, [] {});
  EXPECT_TRUE(Grows(exchange, kForever));
  LeaseResponse response;
  for (const char* id : {"a", "b"}) response.add_leases()->mutable_spec()->set_episode_id(id);
  exchange.Accept(response);
  EXPECT_FALSE(Grows(exchange, kAWhile));
  exchange.Drop("a");
  EXPECT_FALSE(Grows(exchange, kAWhile)) << "one is left";
  const absl::Duration before = Waited(exchange);
  Trajectory finished;
  finished.set_episode_id("b");
  exchange.Finish(finished);
  EXPECT_FALSE(Grows(exchange, kAWhile)) << "not acknowledged yet";
  exchange.Acknowledge(/*learner_epoch=*/7, {"b"});
  EXPECT_FALSE(Grows(exchange, kAWhile)) << "another learner's answer, which came late";
  exchange.Acknowledge(/*learner_epoch=*/0, {"b"});
  EXPECT_TRUE(Grows(exchange, kForever));
  EXPECT_GE(Waited(exchange), before);
}

}  // namespace
}  // namespace routewright
