#include "trainer/loop/step_tracer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/loop/trace_gathering.h"
#include "trainer/trace/step_trace.h"

namespace routewright {

StepTracer::StepTracer(FileSystem& files, const RunFolderFiles& folder, const RunConfig& config)
    : files_(files), folder_(folder), config_(config) {}

void StepTracer::Begin(int64_t step) {
  const auto& steps = config_.trainer().trace_steps();
  if (files_.Exists(folder_.trace_request())) {
    const absl::Status claimed = files_.Rename(folder_.trace_request(), folder_.trace_claim());
    if (!claimed.ok()) LogWarning("step=", step, " | no trace: ", claimed.message());
  }
  // A claim of before was a step's that was not finished.
  is_on_ = files_.Exists(folder_.trace_claim()) ||
           std::find(steps.begin(), steps.end(), step) != steps.end();
  if (!is_on_) return;
  step_ = step;
  begin_ = absl::Now();
  BeginTrace();
}

void StepTracer::Keep(std::vector<Trajectory>& trajectories) {
  if (!is_on_) return;
  trajectories_ = trajectories;
  for (Trajectory& trajectory : trajectories) {
    trajectory.clear_trace();
    for (PoolCall& call : *trajectory.mutable_pool_calls()) call.clear_trace();
  }
}

absl::Status StepTracer::Finish(Communicator& communicator) {
  is_on_ = false;
  const absl::Time end = absl::Now();
  const absl::StatusOr<std::vector<RankTrace>> ranks = GatherTraces(communicator);
  const std::vector<Trajectory> trajectories = std::exchange(trajectories_, {});
  absl::Status written = ranks.status();
  if (!ranks.ok() && !absl::IsDataLoss(written)) return written;
  if (ranks.ok()) written = Write(*ranks, trajectories, end);
  if (!written.ok()) LogWarning("step=", step_, " | no trace was written: ", written.message());
  Drop(folder_.trace_claim());  // answered, well or not
  return absl::OkStatus();
}

void StepTracer::DropRequests() {
  Drop(folder_.trace_request());
  Drop(folder_.trace_claim());
}

void StepTracer::Drop(const std::string& request) {
  if (!files_.Exists(request)) return;
  const absl::Status removed = files_.RemoveAll(request);
  if (!removed.ok()) LogWarning("the request for a trace stays: ", removed.message());
}

absl::Status StepTracer::Write(std::span<const RankTrace> ranks,
                               std::span<const Trajectory> trajectories, absl::Time end) const {
  RW_RETURN_IF_ERROR(files_.CreateFolders(folder_.traces()));
  const std::string path = absl::StrFormat("%s/step-%06d.json", folder_.traces(), step_);
  const std::string json = StepTraceToJson({.run_name = config_.run().name(),
                                            .step = step_,
                                            .begin_us = absl::ToUnixMicros(begin_),
                                            .end_us = absl::ToUnixMicros(end),
                                            .ranks = ranks,
                                            .trajectories = trajectories});
  RW_RETURN_IF_ERROR(WriteFileAtomically(files_, path, json));
  LogInfo("step=", step_, " trace=", path, " | traced");
  return absl::OkStatus();
}

}  // namespace routewright
