#include "trainer/live_page/live_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "trainer/live_page/trajectory_choice.h"
#include "trainer/live_page/worker_table.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kTimesKept = 10;
constexpr absl::Duration kWatchedFor = absl::Seconds(10);  // after a reader's last question

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double UnixSeconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

}  // namespace

LiveState::LiveState(const RunConfig& config, Json environment, const Tokenizer* tokenizer)
    : config_(config),
      environment_(std::move(environment)),
      tokenizer_(tokenizer),
      instance_(absl::StrCat(absl::ToUnixMicros(absl::Now()))),
      last_step_at_(absl::Now()),
      pool_(config.pool()) {}

absl::Status LiveState::Begin(FileSystem& files, const std::string& metrics_path,
                              int64_t first_step) {
  absl::MutexLock lock(&mutex_);
  state_ = "running";
  steps_done_ = first_step;
  if (!files.Exists(metrics_path)) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const std::string text, files.Read(metrics_path));
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::optional<MetricsRow> row = ParseMetricsRow(std::string(line));
    if (!row.has_value()) {
      LogWarning("file=", metrics_path, " | a damaged line is not shown on the page");
    } else if (row->step < first_step) {
      AddRow(*row);
    }
  }
  return absl::OkStatus();
}

void LiveState::AddRow(const MetricsRow& row) {
  curves_.Add(row.step, row.metrics);
  if (row.metrics.Get("evaluation/count") > 0) evaluated_ = row;
  if (!AreOfStep(row.metrics)) return;
  newest_ = row;
  step_times_.push_back(row.metrics.Get("step/time_s"));
  if (step_times_.size() > kTimesKept) step_times_.pop_front();
}

void LiveState::ShowCollecting(const CollectProgress& progress) {
  absl::MutexLock lock(&mutex_);
  activity_ = "collecting";
  collecting_ = progress;
}

void LiveState::ShowUpdating() {
  absl::MutexLock lock(&mutex_);
  activity_ = "updating";
}

void LiveState::Record(int64_t step, const Metrics& metrics,
                       std::span<const Trajectory> trajectories,
                       const AdvantagesOf& advantages_of) {
  const auto chosen = Choose(trajectories, advantages_of);
  absl::MutexLock lock(&mutex_);
  AddRow({step, metrics});
  pool_.AddStep(trajectories);
  steps_done_ = step + 1;
  last_step_at_ = absl::Now();
  activity_ = "collecting";
  collecting_ = {.num_episodes = 0, .num_committed = 0, .num_workers = collecting_.num_workers};
  Show(chosen);
}

void LiveState::RecordEvaluation(int64_t steps_done, const Metrics& metrics,
                                 std::span<const Trajectory> trajectories) {
  const auto chosen = Choose(trajectories, /*advantages_of=*/{});
  absl::MutexLock lock(&mutex_);
  AddRow({steps_done, metrics});
  pool_.AddStep(trajectories);
  Show(chosen);
}

std::vector<std::shared_ptr<const ShownTrajectory>> LiveState::Choose(
    std::span<const Trajectory> trajectories, const AdvantagesOf& advantages_of) const {
  std::vector<std::shared_ptr<const ShownTrajectory>> chosen;
  if (tokenizer_ == nullptr) return chosen;
  for (const size_t place : ChooseTrajectories(trajectories)) {
    chosen.push_back(std::make_shared<ShownTrajectory>(ShownTrajectory{
        trajectories[place], advantages_of ? advantages_of(place) : std::vector<float>()}));
  }
  return chosen;
}

void LiveState::Show(const std::vector<std::shared_ptr<const ShownTrajectory>>& chosen) {
  if (chosen.empty()) return;
  ++trajectories_version_;
  trajectories_.insert(trajectories_.begin(), chosen.begin(), chosen.end());
  size_t tokens = 0, kept = 0;
  for (const auto& one : trajectories_) {
    tokens += static_cast<size_t>(one->trajectory.token_ids_size());
    if (kept == kMaxTrajectories || (kept > 0 && tokens > kMaxKeptTokens)) break;
    ++kept;
  }
  trajectories_.resize(kept);
}

void LiveState::WatchWorkers(ViewWorkers view) {
  absl::MutexLock lock(&workers_mutex_);
  view_workers_ = std::move(view);
}

void LiveState::End(const std::string& state, const std::string& message) {
  absl::MutexLock lock(&mutex_);
  state_ = state;
  message_ = message;
  activity_ = "ended";
}

void LiveState::WaitUntilSeen(absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  if (absl::Now() - last_seen_ > kWatchedFor) return;
  mutex_.AwaitWithTimeout(absl::Condition(&is_end_seen_), patience);
}

double LiveState::SecondsLeft() const {
  if (step_times_.empty()) return std::nan("");
  const double mean = std::accumulate(step_times_.begin(), step_times_.end(), 0.0) /
                      static_cast<double>(step_times_.size());
  return mean * static_cast<double>(std::max<int64_t>(0, config_.trainer().steps() - steps_done_));
}

std::string LiveState::RunJson() const {
  const TrainerConfig& trainer = config_.trainer();
  Json json = {{"instance", instance_},
               {"run", config_.run().name()},
               {"folder", RunFolder(config_)},
               {"steps", trainer.steps()},
               {"evaluate_every", trainer.evaluate_every()},
               {"models", Json::array()},
               {"environment", environment_},
               {"config", ConfigToYaml(config_)}};
  for (const PoolModelConfig& model : config_.pool().models()) {
    json["models"].push_back(model.name());
  }
  return Dump(json);
}

Json LiveState::MetricsJson(const std::optional<MetricsRow>& row) const {
  if (!row.has_value()) return nullptr;
  Json metrics = Json::object();
  for (const auto& [name, value] : row->metrics.values()) {
    metrics[name] = std::isfinite(value) ? Json(value) : Json(nullptr);
  }
  return {{"step", row->step}, {"metrics", std::move(metrics)}};
}

std::string LiveState::StatusJson() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = absl::Now();
  last_seen_ = now;
  // A reader asks for the rest between two of these.
  if (activity_ == "ended") is_end_seen_ = ++answers_since_end_ > 1;
  const double seconds_left = SecondsLeft();
  return Dump({{"instance", instance_},
               {"state", state_},
               {"message", message_},
               {"activity", activity_},
               {"steps_done", steps_done_},
               {"steps", config_.trainer().steps()},
               {"seconds_left", std::isfinite(seconds_left) ? Json(seconds_left) : Json(nullptr)},
               {"episodes", collecting_.num_episodes},
               {"committed", collecting_.num_committed},
               {"workers", collecting_.num_workers},
               {"now_unix_s", UnixSeconds(now)},
               {"last_step_unix_s", UnixSeconds(last_step_at_)},
               {"last_step", curves_.steps().last_step()},
               {"trajectories_version", trajectories_version_},
               {"newest", MetricsJson(newest_)},
               {"evaluated", MetricsJson(evaluated_)},
               {"pool", pool_.ToJson()}});
}

std::string LiveState::CurvesJson(int64_t since, int64_t generation) const {
  absl::MutexLock lock(&mutex_);
  // Both histories are read by one cursor: one that began anew makes the reader begin anew.
  const int64_t current = curves_.steps().generation() + curves_.evaluations().generation();
  const bool is_reset = generation != current;
  if (is_reset) since = -1;
  constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();
  Json steps = curves_.steps().Rows(since, kNoEnd, kMaxRowsAtOnce);
  // Evaluations up to where the rows end, so that the cursor passes none of them.
  const int64_t until = steps["more"] == true ? steps["steps"].back().get<int64_t>() : kNoEnd;
  Json evaluations = curves_.evaluations().Rows(since, until, RunCurves::kMaxRows);
  return Dump({{"instance", instance_},
               {"generation", current},
               {"reset", is_reset},
               {"stride", curves_.steps().stride()},
               {"steps", std::move(steps)},
               {"evaluations", std::move(evaluations)}});
}

std::string LiveState::WorkersJson(const std::string& sort, size_t limit) const {
  WorkersView view;
  {
    absl::MutexLock lock(&workers_mutex_);
    if (view_workers_) view = view_workers_();
  }
  return Dump(WorkerTable(std::move(view), sort, std::min(limit, kMaxWorkersAtOnce)));
}

std::string LiveState::TrajectoriesJson() const {
  std::deque<std::shared_ptr<const ShownTrajectory>> kept;
  Json json = {{"trajectories", Json::array()}};
  {
    absl::MutexLock lock(&mutex_);
    kept = trajectories_;
    json["version"] = trajectories_version_;
  }
  for (const auto& shown : kept) json["trajectories"].push_back(SummariseTrajectory(*shown));
  return Dump(json);
}

std::optional<std::string> LiveState::TrajectoryJson(const std::string& id) const {
  std::shared_ptr<const ShownTrajectory> found;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& shown : trajectories_) {
      if (shown->trajectory.episode_id() == id) found = shown;
    }
  }
  if (found == nullptr) return std::nullopt;
  return Dump(DescribeTrajectory(*found, *tokenizer_, kMaxShownTokens));
}

}  // namespace routewright
