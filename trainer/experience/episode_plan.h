// Which episodes a step runs, and which of their trajectories are learnt from. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/experience/batch.h"
#include "trainer/experience/trajectory_source.h"

namespace routewright {

// The policy version after that many steps; version 1 is the one that a run starts from.
inline int64_t PolicyVersionAfter(int64_t num_steps) { return num_steps + 1; }

// Each training question episodes_per_question times ("train/000012/0003/05": step, question's
// place, member of its group), at the training temperature and with its trials; then each evaluation
// question once, at evaluation.temperature ("eval/000012/0003"). Questions are counted from
// `first_place`, for plans that add to a step's first one.
StepPlan PlanStep(const RunConfig& config, int64_t step, int64_t policy_version,
                  std::span<const Question> train_questions,
                  std::span<const Question> evaluation_questions, int64_t first_place = 0);

// The groups of training episodes whose rewards, of those with a verdict, differ by no more than
// dynamic_sampling.min_difference, by GroupName; every group with a verdict is a key. An episode with a
// trial that the policy would hardly have made (TrialWeight below 1) counts only where it does better
// than the policy's own: that it does worse says nothing of these.
std::map<std::string, bool> EvenGroups(const RunConfig& config,
                                       std::span<const Trajectory> trajectories);

struct LearnableBatch {
  Batch batch;
  std::vector<size_t> places;  // [B] of the batch's trajectories in the step's
  int left_out = 0;            // training episodes that nothing is learnt from
};

// The training trajectories of a collected step as a batch, groups by question. Left out: those
// without a verdict (POOL_FAILED, CANCELLED), those in which the policy wrote nothing, and with
// group advantages those that are the last of their group, having nothing to be compared with; with
// dynamic sampling also groups without a difference, unless there is no other.
// Fails: kInvalidArgument naming a trajectory that cannot be learnt from though its status says so.
absl::StatusOr<LearnableBatch> SelectBatch(const RunConfig& config,
                                           std::span<const Trajectory> trajectories,
                                           int64_t vocabulary_size, int64_t policy_version);

}  // namespace routewright
