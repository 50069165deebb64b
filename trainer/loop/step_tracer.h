// Rank 0's part in tracing: which steps are traced, and the file that comes of one. One thread.
//
// A step is traced if trainer.trace_steps lists it or <run>/trace.request exists, which `routewright
// trace` makes. The step's begin renames it to trace.claim, which is gone once the trace is there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/file_system.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "proto/trace.pb.h"
#include "trainer/comm/communicator.h"
#include "trainer/record/run_folder.h"

namespace routewright {

class StepTracer {
 public:
  // All must outlive the tracer.
  StepTracer(FileSystem& files, const RunFolderFiles& folder, const RunConfig& config);

  // The step is about to be made: begins a trace if it is to be traced.
  void Begin(int64_t step);
  bool is_on() const { return is_on_; }
  // The step's, of which the trace takes what was recorded of time away.
  void Keep(std::vector<Trajectory>& trajectories);
  // The run is over: nobody will answer.
  void DropRequests();
  // Collective, with GatherTraces on the other ranks. A file that cannot be written is a warning:
  // no run ends over a trace. Fails as the collectives do.
  absl::Status Finish(Communicator& communicator);

 private:
  absl::Status Write(std::span<const RankTrace> ranks, std::span<const Trajectory> trajectories,
                     absl::Time end) const;
  void Drop(const std::string& request);

  FileSystem& files_;
  const RunFolderFiles& folder_;
  const RunConfig& config_;
  bool is_on_ = false;
  int64_t step_ = 0;
  absl::Time begin_;
  std::vector<Trajectory> trajectories_;
};

}  // namespace routewright
