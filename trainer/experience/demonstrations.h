// Recorded trajectories to learn from (algorithm: supervised): files of Trajectory messages as JSON
// lines, in memory as plain arrays. One thread.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/model_config.h"
#include "proto/config.pb.h"
#include "trainer/experience/batch.h"
#include "trainer/experience/shuffled_order.h"

namespace routewright {

class Demonstrations {
 public:
  // Those of data.demonstrations(). Left out, and counted in the log: trajectories of evaluations, about a question of
  // data.held_out(), that ended without an answer, with a reward below demonstration_min_reward, or without a token of
  // the policy. Fails: kNotFound naming a file that is missing; kInvalidArgument naming file:line of what is no sound
  // trajectory or longer than a micro-batch or the model's positions, or saying why none is left; as LoadDatasets.
  static absl::StatusOr<std::unique_ptr<Demonstrations>> Load(const RunConfig& config,
                                                              const ModelConfig& model);

  // The next n, in passes that are each shuffled.
  Batch Draw(int n);

  int64_t size() const { return all_.num_trajectories(); }
  uint64_t cursor() const { return cursor_; }  // demonstrations drawn so far
  uint64_t digest() const { return digest_; }  // of all token ids
  // Fails: kFailedPrecondition if the cursor was saved over other demonstrations.
  absl::Status Restore(uint64_t cursor, uint64_t digest);

 private:
  Demonstrations(Batch all, uint64_t seed);

  const Batch all_;
  ShuffledOrder order_;
  uint64_t digest_ = 0;
  uint64_t cursor_ = 0;
};

}  // namespace routewright
