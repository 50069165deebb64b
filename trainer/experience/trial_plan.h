// Which calls of a step are trials: calls whose model the plan names, so that every model is tried whatever the policy
// has come to think of it (trainer.routing.trial_share). The trials among the episodes' first calls are dealt out:
// each model once, in a new order, before any comes again. Later calls, which an episode may not make, are drawn. A pure
// function of the config, the step and the episode's place. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/experience/shuffled_order.h"

namespace routewright {

class TrialPlan {
 public:
  explicit TrialPlan(const RunConfig& config);
  // Sets the trials of the training episode at `place` (0, 1, …) of a step of `num_episodes`.
  void SetTrials(int64_t num_episodes, int64_t place, EpisodeSpec& spec);

 private:
  const double share_;
  const uint64_t seed_;
  const int max_rounds_;
  std::vector<std::string> models_;
  ShuffledOrder order_;  // of the models, in which trials are dealt
};

// The weight of a trajectory's negative advantages: for each of its trials min(1, π / (trial_share / models)), with π the
// probability that the policy gave to the name, that is, how much more often the policy would have called this model than
// trials do. So a trial of a model that the policy hardly names does not push it, and the rest of the episode, down any
// further, while one that turns out well counts in full: a lost model can come back, a poor one costs nothing but its
// calls. Without trials: 1.
double TrialWeight(const RunConfig& config, const Trajectory& trajectory);

// How many of the policy's own episodes one without a trial stands for, where those with one are left out: the more calls an
// episode made or tried to make, the more of its like had a trial. (1 − trial_share)^−calls; 0 with a trial.
double TrialFreeWeight(const RunConfig& config, const Trajectory& trajectory);

}  // namespace routewright
