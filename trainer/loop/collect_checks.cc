#include "trainer/loop/collect_checks.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "trainer/live_page/live_state.h"
#include "trainer/loop/step_message.h"
#include "trainer/record/prometheus_metrics.h"

namespace routewright {
namespace {

constexpr absl::Duration kOwnerCheckEvery = absl::Seconds(1);

}  // namespace

CollectChecks::CollectChecks(const LearnerParts& parts, const RunFolderFiles* folder,
                             Followers* followers)
    : parts_(parts), folder_(*folder), followers_(*followers), budget_(*parts.config) {}

absl::Status CollectChecks::CheckBudget(int64_t known_picousd) {
  return budget_.Check(known_picousd);
}

bool CollectChecks::GoesOn(int64_t step, int64_t known_picousd, const CollectProgress& progress,
                           Progress* progress_line, absl::Status& fault) {
  fault = KeepFollowersWaiting();
  if (fault.ok()) fault = CheckOwner();
  if (fault.ok()) fault = CheckBudget(known_picousd);
  if (!fault.ok()) return false;
  Show(step, progress, progress_line);
  return !parts_.is_stop_requested() || HasPatience(progress);
}

// The other ranks wait in a broadcast, whose deadline must not pass while episodes take their time.
absl::Status CollectChecks::KeepFollowersWaiting() {
  const absl::Duration quiet =
      absl::Seconds(parts_.config->trainer().communicator().deadline_s()) / 4;
  if (!followers_.are_there() || followers_.silence() <= quiet) return absl::OkStatus();
  return followers_.Tell({.kind = StepMessage::Kind::kWait, .batch = {}});
}

absl::Status CollectChecks::CheckOwner() {
  const absl::Time now = absl::Now();
  if (now - last_owner_check_ <= kOwnerCheckEvery) return absl::OkStatus();
  last_owner_check_ = now;
  return folder_.CheckIsOurs();
}

void CollectChecks::Show(int64_t step, const CollectProgress& progress,
                         Progress* progress_line) const {
  if (parts_.live_state != nullptr) parts_.live_state->ShowCollecting(progress);
  if (parts_.exporter != nullptr) ShowWorkers(progress.num_workers, *parts_.exporter);
  if (progress_line != nullptr) {
    progress_line->ShowCollecting(step, progress.num_committed, progress.num_episodes,
                                  progress.num_workers);
  }
}

bool CollectChecks::HasPatience(const CollectProgress& progress) {
  const absl::Time now = absl::Now();
  stop_seen_ = std::min(stop_seen_, now);
  const absl::Duration patience =
      absl::Seconds(parts_.config->trainer().checkpoint().stop_wait_s());
  return progress.num_workers > 0 && now - stop_seen_ < patience;
}

}  // namespace routewright
