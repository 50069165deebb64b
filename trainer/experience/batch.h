// Where wire messages end and plain arrays begin: a step's trajectories as flat arrays, checked
// once, sent from rank 0 to the others as bytes. After this file the trainer sees no message and
// before it no array. Pure; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/episode.pb.h"

namespace routewright {

// B trajectories with T tokens, of which N were sampled by the policy and are scored.
struct Batch {
  std::vector<uint32_t> token_ids;     // [T]
  std::vector<int64_t> offsets = {0};  // [B+1] trajectory b is tokens [offsets[b], offsets[b+1])
  std::vector<int64_t> scored_offsets = {
      0};  // [B+1] its scored tokens are [scored_offsets[b], …[b+1]) of the [N] arrays
  std::vector<int32_t> scored;          // [N] the token's place in its trajectory, ≥ 1
  std::vector<float> sampler_logprobs;  // [N] recorded as sampled; 0 in demonstrations without them
  std::vector<uint8_t> names_model;     // [N] kNamesModel, kNamesTrial (trajectory_facts.h) or 0
  std::vector<double> rewards;          // [B]
  std::vector<double>
      score_rewards;               // [B] the reward's part for the score; the rest is for the cost
  std::vector<int64_t> groups;     // [B] equal for the episodes of one question
  std::vector<uint8_t> is_masked;  // [B] 1: compared with its group, but not learnt from
  std::vector<uint8_t>
      is_charged;  // [B] 1: its cost is in its reward; 0: not, such as of a wrong answer
  // [B] 1, or less if trials named models that the policy hardly would: what its negative advantages are
  // multiplied by.
  std::vector<double> trial_weights;

  int64_t num_trajectories() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t num_tokens() const { return static_cast<int64_t>(token_ids.size()); }
  int64_t num_scored() const { return static_cast<int64_t>(scored.size()); }
  int64_t length(int64_t b) const { return offsets[b + 1] - offsets[b]; }
};

// What a trajectory must satisfy to be learnt from.
struct TrajectoryRules {
  int64_t vocabulary_size = 0;
  int64_t min_policy_version = 0;  // of every sampled token, both ends included
  int64_t max_policy_version = 0;
  int64_t max_tokens = std::numeric_limits<int64_t>::max();  // of a trajectory
  // A demonstration: log-probabilities and versions may be missing and are not read.
  bool is_recorded = false;
};

// Appends one trajectory with its `reward`. Fails: kInvalidArgument naming the episode and
// what is wrong: arrays of different lengths, an id ≥ V, a first token or no token from the
// policy, a log-probability that is not finite or above 0, a version out of bounds; the
// batch is then as before.
absl::Status AppendTrajectory(const Trajectory& trajectory, const TrajectoryRules& rules,
                              int64_t group, Batch& batch);

// Appends trajectory b of another batch.
void AppendFrom(const Batch& from, int64_t b, Batch& batch);

// To bytes and back, between ranks of one program. ParseBatch fails: kDataLoss.
std::string SerializeBatch(const Batch& batch);
absl::StatusOr<Batch> ParseBatch(std::string_view bytes);

// Some of a batch's trajectories packed end to end, as the transformer takes them.
struct MicroBatch {
  std::vector<int64_t> token_ids;       // [t]
  std::vector<int64_t> positions;       // [t] from 0 in each trajectory
  std::vector<int64_t> offsets;         // [b+1]
  std::vector<int64_t> rows;            // [n] packed index of the token before each scored token
  std::vector<int64_t> targets;         // [n] the scored token's id
  std::vector<int64_t> scored;          // [n] its place in the batch's [N] arrays
  std::vector<int64_t> scored_offsets;  // [b+1] trajectory i's scored tokens
};
MicroBatch BuildMicroBatch(const Batch& batch, std::span<const int> trajectories);

}  // namespace routewright
