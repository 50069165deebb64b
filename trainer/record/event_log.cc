#include "trainer/record/event_log.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/network_address.h"
#include "common/status_macros.h"
#include "common/trajectory_facts.h"
#include "trainer/record/event_record.h"
#include "trainer/record/trajectory_metrics.h"

namespace routewright {
namespace {

tensorboard::Event NewEvent(int64_t step) {
  tensorboard::Event event;
  event.set_wall_time(absl::ToUnixMicros(absl::Now()) * 1e-6);
  event.set_step(step);
  return event;
}

// Later than every file that is there, whatever clock wrote it.
int64_t StartNumber(const std::vector<std::string>& names) {
  int64_t start = absl::ToUnixSeconds(absl::Now());
  for (const std::string& name : names) {
    if (!name.starts_with(kEventFilePrefix)) continue;
    start = std::max<int64_t>(start, std::atoll(name.c_str() + kEventFilePrefix.size()) + 1);
  }
  return start;
}

// A torn or damaged record goes too, and what follows it: no reader would see it.
absl::Status TakeOutSteps(FileSystem& files, const std::string& path, int64_t first_step) {
  RW_ASSIGN_OR_RETURN(const std::string records, files.Read(path));
  const std::string kept = RecordsBefore(first_step, records);
  return kept == records ? absl::OkStatus() : WriteFileAtomically(files, path, kept);
}

void AddHistograms(std::span<const Trajectory> trajectories, tensorboard::Summary& summary) {
  std::vector<double> rewards, policy_tokens;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() != PURPOSE_TRAIN || !HasVerdict(trajectory)) continue;
    rewards.push_back(trajectory.reward());
    policy_tokens.push_back(static_cast<double>(std::count(
        trajectory.provenance().begin(), trajectory.provenance().end(), PROVENANCE_POLICY)));
  }
  if (rewards.empty()) return;  // of a supervised step
  SetHistogram("episode/reward_histogram", rewards, summary.add_value());
  SetHistogram("episode/policy_tokens_histogram", policy_tokens, summary.add_value());
}

}  // namespace

absl::StatusOr<EventLog> EventLog::Open(FileSystem& files, const std::string& folder,
                                        int64_t first_step) {
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  for (const std::string& name : names) {
    if (!name.starts_with(kEventFilePrefix)) continue;
    RW_RETURN_IF_ERROR(TakeOutSteps(files, folder + "/" + name, first_step));
  }
  EventLog log(files, absl::StrFormat("%s/%s%010d.%s", folder, kEventFilePrefix, StartNumber(names),
                                      HostName()));
  tensorboard::Event version = NewEvent(0), start = NewEvent(first_step);
  version.set_file_version("brain.Event:2");
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  RW_RETURN_IF_ERROR(log.Append(EventToRecord(version) + EventToRecord(start)));
  return log;
}

absl::Status EventLog::Write(int64_t step, const Metrics& metrics, const StepEvents& events) {
  tensorboard::Event event = NewEvent(step);
  tensorboard::Summary& summary = *event.mutable_summary();
  for (const auto& [name, value] : metrics.values()) {
    if (std::isfinite(value)) SetScalar(name, value, summary.add_value());
  }
  AddHistograms(events.trajectories, summary);
  if (!events.tag_of_text.empty()) {
    SetText(events.tag_of_text, events.text, summary.add_value());
  }
  for (tensorboard::Summary::Value& value : *summary.mutable_value()) {
    if (!seen_tags_.insert(value.tag()).second) value.clear_metadata();
  }
  return Append(EventToRecord(event));
}

absl::Status EventLog::Append(const std::string& records) {
  RW_ASSIGN_OR_RETURN(const auto file, files_->OpenForAppend(path_));
  RW_RETURN_IF_ERROR(file->Append(records));
  return file->Close();
}

}  // namespace routewright
