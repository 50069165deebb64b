// One step over all its processes as a Chrome trace: what the ranks, the episodes and the pool
// calls recorded of themselves, by one clock, rank 0's. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "proto/episode.pb.h"
#include "proto/trace.pb.h"

namespace routewright {

struct StepTrace {
  std::string run_name;
  int64_t step = 0;
  int64_t begin_us = 0, end_us = 0;  // of the step, by rank 0's clock, since the Unix epoch
  std::span<const RankTrace> ranks;
  std::span<const Trajectory> trajectories;  // the step's
};

// A process a rank: the computing thread, and its collectives. A process a worker: its episodes.
// The pool: its calls by model, each with its attempts and pauses. Episodes that ended before the
// step began (their learner was started again since) are counted and left out.
std::string StepTraceToJson(const StepTrace& trace);

}  // namespace routewright
