// What the page about a running training shows, as JSON: the learner publishes into it, the page's
// server reads. Memory is bounded, however long the run and however many the workers.
//
// Thread-safe. What the learner calls copies and returns; nothing waits for a reader, but
// WaitUntilSeen at the very end.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file_system.h"
#include "policy/tokenizer/tokenizer.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/experience/trajectory_source.h"
#include "trainer/live_page/curves.h"
#include "trainer/live_page/pool_table.h"
#include "trainer/live_page/trajectory_view.h"
#include "trainer/record/metrics.h"

namespace routewright {

class LiveState {
 public:
  static constexpr size_t kMaxTrajectories = 48;
  static constexpr size_t kMaxKeptTokens = 500'000;  // of all trajectories that are kept
  static constexpr int kMaxShownTokens = 8192;       // of one trajectory
  static constexpr size_t kMaxRowsAtOnce = 500;
  static constexpr size_t kMaxWorkersAtOnce = 200;

  // `environment` is what is known of program and machine (run_environment.h). `tokenizer` may be
  // nullptr (no trajectories then), else it must outlive this object.
  LiveState(const RunConfig& config, nlohmann::ordered_json environment,
            const Tokenizer* tokenizer);

  // ---- the learner's side
  // Takes up the steps before `first_step` from metrics.jsonl. Damaged lines are left out.
  absl::Status Begin(FileSystem& files, const std::string& metrics_path, int64_t first_step);
  void ShowCollecting(const CollectProgress& progress);
  void ShowUpdating();
  void Record(int64_t step, const Metrics& metrics, std::span<const Trajectory> trajectories,
              const AdvantagesOf& advantages_of);
  // An evaluation after the last of `steps_done` steps, which belongs to none.
  void RecordEvaluation(int64_t steps_done, const Metrics& metrics,
                        std::span<const Trajectory> trajectories);
  // Called whenever the page asks for workers, by other threads; empty: none can be asked any more,
  // and no call is under way.
  using ViewWorkers = std::function<WorkersView()>;
  void WatchWorkers(ViewWorkers view) ABSL_LOCKS_EXCLUDED(workers_mutex_);
  // `state`: "finished", "preempted" or "failed".
  void End(const std::string& state, const std::string& message);
  // If somebody watches, until they have asked for everything after the end, or `patience` is over.
  void WaitUntilSeen(absl::Duration patience);

  // ---- the page's side; each answer is a JSON object
  std::string RunJson() const;  // what does not change: name, models, config, environment
  std::string StatusJson();     // the strip at the top, the pool, the newest metrics
  // Rows after `since`, at most kMaxRowsAtOnce; from the beginning if
  // `generation` is not the current one.
  std::string CurvesJson(int64_t since, int64_t generation) const;
  // All of them counted; `limit` of them listed, the first by `sort`: silent, lag,
  // trajectories, waited or id.
  std::string WorkersJson(const std::string& sort, size_t limit) const;
  std::string TrajectoriesJson() const;  // summaries, newest first
  std::optional<std::string> TrajectoryJson(const std::string& id) const;

 private:
  nlohmann::ordered_json MetricsJson(const std::optional<MetricsRow>& row) const;
  double SecondsLeft() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those of the trajectories that the page shows.
  std::vector<std::shared_ptr<const ShownTrajectory>> Choose(
      std::span<const Trajectory> trajectories, const AdvantagesOf& advantages_of) const;
  void Show(const std::vector<std::shared_ptr<const ShownTrajectory>>& chosen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddRow(const MetricsRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RunConfig config_;
  const nlohmann::ordered_json environment_;
  const Tokenizer* const tokenizer_;
  const std::string instance_;  // tells this learner process from an earlier one

  mutable absl::Mutex mutex_;
  std::string state_ ABSL_GUARDED_BY(mutex_) = "starting";
  std::string message_ ABSL_GUARDED_BY(mutex_);
  std::string activity_ ABSL_GUARDED_BY(mutex_) = "starting";
  int64_t steps_done_ ABSL_GUARDED_BY(mutex_) = 0;
  CollectProgress collecting_ ABSL_GUARDED_BY(mutex_);
  RunCurves curves_ ABSL_GUARDED_BY(mutex_);
  std::optional<MetricsRow> newest_ ABSL_GUARDED_BY(mutex_), evaluated_ ABSL_GUARDED_BY(mutex_);
  std::deque<double> step_times_ ABSL_GUARDED_BY(mutex_);  // s, the last few
  absl::Time last_step_at_ ABSL_GUARDED_BY(mutex_);
  PoolTable pool_ ABSL_GUARDED_BY(mutex_);
  // Owners: this and an answer that is being made. Newest first.
  std::deque<std::shared_ptr<const ShownTrajectory>> trajectories_ ABSL_GUARDED_BY(mutex_);
  int64_t trajectories_version_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_seen_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int answers_since_end_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_end_seen_ ABSL_GUARDED_BY(mutex_) = false;

  mutable absl::Mutex workers_mutex_;  // held while the workers are asked
  ViewWorkers view_workers_ ABSL_GUARDED_BY(workers_mutex_);
};

}  // namespace routewright
