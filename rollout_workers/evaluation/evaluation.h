// Runs a policy over questions in one way to route: as it chooses, at random, or with every
// call forced to one model.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "rollout_workers/episode/episode_runner.h"
#include "rollout_workers/evaluation/evaluation_report.h"

namespace routewright {

// Which episodes an arm runs. At most one of forced_model and is_random.
struct EvaluationArm {
  std::string name = "";
  std::string forced_model = "";  // empty: not forced
  bool is_random = false;
};

struct EvaluationProgress {
  int num_done = 0, num_questions = 0;  // of this arm
  double em = 0;                        // mean of those that are scored
};

struct EvaluationOptions {
  uint64_t run_seed = 0;
  double temperature = 0;  // 0 = greedy
  int max_episodes = 64;   // at once
  int max_attempts = 3;    // of an episode whose pool call failed
  std::span<const std::string> models;
  std::function<void(const EvaluationProgress&)>
      report;                          // after every turn in which an episode ended; may be empty
  std::function<bool()> should_go_on;  // asked every turn; may be empty
};

// Every question once, as many at a time as options allow. An episode whose pool call failed is
// tried again; after the last attempt it is left out. Fails: as the runner fails; kCancelled
// when should_go_on says no.
absl::StatusOr<ArmScores> RunArm(const EvaluationArm& arm, std::span<const Question> questions,
                                 const EvaluationOptions& options, EpisodeRunner& runner);

}  // namespace routewright
