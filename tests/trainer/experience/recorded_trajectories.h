// Trajectories of unequal lengths as a run would have recorded them: prompt, policy text, an
// observation, policy text. Everything depends on the seed only.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "common/random.h"
#include "proto/episode.pb.h"
#include "trainer/experience/batch.h"

namespace routewright {

// Policy tokens get a log-probability near that of a uniform guess over the vocabulary.
inline Trajectory RecordTrajectory(const std::string& episode_id, uint64_t seed,
                                   int64_t vocabulary_size, int64_t policy_version) {
  const uint64_t key = StreamKey(seed, episode_id, 0);
  uint64_t counter = 0;
  const auto draw = [&](int low, int high) {
    return low + static_cast<int>(RandomBits(key, counter++) % (high - low + 1));
  };
  Trajectory trajectory;
  trajectory.set_episode_id(episode_id);
  trajectory.set_status(EPISODE_STATUS_ANSWERED);
  const auto add = [&](Provenance provenance, int count) {
    for (int i = 0; i < count; ++i) {
      const bool is_sampled = provenance == PROVENANCE_POLICY;
      trajectory.add_token_ids(draw(0, static_cast<int>(vocabulary_size) - 1));
      trajectory.add_provenance(provenance);
      const double noise = 0.2 * RandomUniform(key, counter++) - 0.1;
      trajectory.add_logprobs(is_sampled ? static_cast<float>(noise - std::log(vocabulary_size))
                                         : 0.0f);
      trajectory.add_policy_versions(is_sampled ? policy_version : -1);
    }
  };
  add(PROVENANCE_PROMPT, draw(2, 12));
  add(PROVENANCE_POLICY, draw(3, 20));
  add(PROVENANCE_OBSERVATION, draw(0, 15));
  add(PROVENANCE_POLICY, draw(1, 10));
  return trajectory;
}

// Adds a trajectory to those of `batch`, in groups of four, with a reward of 0 or 1.
inline void AppendRecorded(Trajectory trajectory, uint64_t seed, int64_t vocabulary_size,
                           Batch& batch) {
  const TrajectoryRules rules = {
      .vocabulary_size = vocabulary_size, .min_policy_version = 1, .max_policy_version = 1};
  const int i = batch.num_trajectories();
  trajectory.set_reward(static_cast<double>(RandomBits(seed, i) % 2));
  if (!AppendTrajectory(trajectory, rules, /*group=*/i / 4, batch).ok()) std::abort();
}

inline Batch RecordBatch(int count, uint64_t seed, int64_t vocabulary_size) {
  Batch batch;
  for (int i = 0; i < count; ++i) {
    AppendRecorded(RecordTrajectory("train/" + std::to_string(i), seed, vocabulary_size, 1), seed,
                   vocabulary_size, batch);
  }
  return batch;
}

// The same of `tokens` tokens each: one of the prompt, the others of the policy.
inline Batch RecordEqualBatch(int count, int tokens, uint64_t seed, int64_t vocabulary_size) {
  Batch batch;
  for (int i = 0; i < count; ++i) {
    Trajectory trajectory;
    trajectory.set_episode_id("train/" + std::to_string(i));
    trajectory.set_status(EPISODE_STATUS_ANSWERED);
    for (int t = 0; t < tokens; ++t) {
      const bool is_sampled = t > 0;
      trajectory.add_token_ids(static_cast<uint32_t>(RandomBits(i, t) % vocabulary_size));
      trajectory.add_provenance(is_sampled ? PROVENANCE_POLICY : PROVENANCE_PROMPT);
      trajectory.add_logprobs(is_sampled ? -static_cast<float>(std::log(vocabulary_size)) : 0.0f);
      trajectory.add_policy_versions(is_sampled ? 1 : -1);
    }
    AppendRecorded(std::move(trajectory), seed, vocabulary_size, batch);
  }
  return batch;
}

}  // namespace routewright
