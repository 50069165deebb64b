// Small well-formed trajectories for the trainer's tests.
#pragma once

#include <string>

#include "proto/episode.pb.h"

namespace routewright::testing {

inline EpisodeSpec MakeSpec(const std::string& episode_id, int64_t step = 0,
                            int64_t policy_version = 1) {
  EpisodeSpec spec;
  spec.set_episode_id(episode_id);
  spec.set_purpose(PURPOSE_TRAIN);
  spec.mutable_question()->set_id("q-" + episode_id);
  spec.set_step(step);
  spec.set_policy_version(policy_version);
  spec.set_temperature(1);
  return spec;
}

// Two prompt tokens, three of the policy, an answer.
inline Trajectory MakeTrajectory(const EpisodeSpec& spec, int attempt = 1) {
  Trajectory t;
  t.set_episode_id(spec.episode_id());
  t.set_attempt(attempt);
  t.set_purpose(spec.purpose());
  t.set_step(spec.step());
  *t.mutable_question() = spec.question();
  t.set_status(EPISODE_STATUS_ANSWERED);
  for (int i = 0; i < 5; ++i) {
    const bool is_policy = i >= 2;
    t.add_token_ids(10 + i);
    t.add_provenance(is_policy ? PROVENANCE_POLICY : PROVENANCE_PROMPT);
    t.add_logprobs(is_policy ? -0.5f : 0.0f);
    t.add_policy_versions(is_policy ? spec.policy_version() : -1);
  }
  Action* action = t.add_actions();
  action->set_kind(ACTION_KIND_ANSWER);
  action->set_first_token(2);
  action->set_end_token(5);
  return t;
}

}  // namespace routewright::testing
