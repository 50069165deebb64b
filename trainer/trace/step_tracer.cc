#include "trainer/trace/step_tracer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "trainer/trace/step_trace.h"
#include "trainer/trace/trace_gathering.h"

namespace switchyard {

StepTracer::StepTracer(FileSystem& files, const RunFolderFiles& folder, const RunConfig& config)
    : files_(files), folder_(folder), config_(config) {}

void StepTracer::Begin(int64_t step) {
  const auto& steps = config_.trainer().trace_steps();
  is_requested_ = files_.Exists(folder_.trace_request());
  is_on_ = is_requested_ || std::find(steps.begin(), steps.end(), step) != steps.end();
  if (!is_on_) return;
  step_ = step;
  begin_ = absl::Now();
  BeginTrace();
}

void StepTracer::Keep(std::vector<Trajectory> trajectories) {
  if (is_on_) trajectories_ = std::move(trajectories);
}

absl::Status StepTracer::Finish(Communicator& communicator) {
  is_on_ = false;
  const absl::Time end = absl::Now();
  SY_ASSIGN_OR_RETURN(const std::vector<RankTrace> ranks, GatherTraces(communicator));
  const std::vector<Trajectory> trajectories = std::exchange(trajectories_, {});
  const absl::Status written = Write(StepTraceToJson({.run_name = config_.run().name(),
                                                      .step = step_,
                                                      .begin_us = absl::ToUnixMicros(begin_),
                                                      .end_us = absl::ToUnixMicros(end),
                                                      .ranks = ranks,
                                                      .trajectories = trajectories}));
  if (!written.ok()) LogWarning("step=", step_, " | no trace was written: ", written.message());
  if (is_requested_) {  // answered, well or not: the next step is not asked for
    const absl::Status removed = files_.RemoveAll(folder_.trace_request());
    if (!removed.ok()) LogWarning("the request for a trace stays: ", removed.message());
  }
  return absl::OkStatus();
}

absl::Status StepTracer::Write(const std::string& json) const {
  SY_RETURN_IF_ERROR(files_.CreateFolders(folder_.traces()));
  const std::string path = absl::StrFormat("%s/step-%06d.json", folder_.traces(), step_);
  SY_RETURN_IF_ERROR(WriteFileAtomically(files_, path, json));
  LogInfo("step=", step_, " trace=", path, " | traced");
  return absl::OkStatus();
}

}  // namespace switchyard
