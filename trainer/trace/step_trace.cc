#include "trainer/trace/step_trace.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/trace.h"
#include "trainer/trace/chrome_trace.h"

namespace routewright {
namespace {

TraceSpan Shifted(TraceSpan span, int64_t by_us) {
  span.set_start_us(span.start_us() + by_us);
  return span;
}

// The episode as a span with all its own in it.
SpanGroup EpisodeGroup(const Trajectory& trajectory) {
  const EpisodeTrace& trace = trajectory.trace();
  SpanGroup group(1);
  TraceSpan& whole = group.front();
  whole.set_name(trajectory.episode_id());
  whole.set_start_us(trace.start_us() + trace.clock_offset_us());
  whole.set_duration_us(trace.duration_us());
  (*whole.mutable_details())["attempt"] = absl::StrCat(trajectory.attempt());
  (*whole.mutable_details())["status"] = EpisodeStatus_Name(trajectory.status());
  (*whole.mutable_details())["tokens"] = absl::StrCat(trajectory.token_ids_size());
  for (const TraceSpan& span : trace.spans()) {
    group.push_back(Shifted(span, trace.clock_offset_us()));
  }
  return group;
}

// The call from its queue to its end; empty: it was never sent.
SpanGroup CallGroup(const Trajectory& trajectory, const PoolCall& call) {
  if (call.trace().spans().empty()) return {};
  const int64_t offset = trajectory.trace().clock_offset_us();
  const TraceSpan& first = call.trace().spans(0);
  const TraceSpan& last = call.trace().spans(call.trace().spans_size() - 1);
  SpanGroup group(1);
  TraceSpan& whole = group.front();
  whole.set_name(trajectory.episode_id());
  whole.set_start_us(first.start_us() + offset);
  whole.set_duration_us(
      std::max<int64_t>(0, last.start_us() + last.duration_us() - first.start_us()));
  (*whole.mutable_details())["outcome"] = CallOutcome_Name(call.outcome());
  (*whole.mutable_details())["round"] = absl::StrCat(call.round());
  for (const TraceSpan& span : call.trace().spans()) group.push_back(Shifted(span, offset));
  return group;
}

void AddRank(const RankTrace& rank, ChromeTrace& trace) {
  const int process = trace.AddProcess(absl::StrCat("rank ", rank.rank(), " on ", rank.host()));
  std::map<std::string, std::vector<SpanGroup>> overlapping;
  std::vector<TraceSpan> nested;
  for (const TraceSpan& span : rank.spans()) {
    TraceSpan shifted = Shifted(span, rank.clock_offset_us());
    if (span.track() == kTrainingTrack) {
      nested.push_back(std::move(shifted));
    } else {
      overlapping[span.track()].push_back({std::move(shifted)});
    }
  }
  // They were recorded as they ended, inner ones first.
  std::stable_sort(nested.begin(), nested.end(), [](const TraceSpan& a, const TraceSpan& b) {
    return a.start_us() != b.start_us() ? a.start_us() < b.start_us()
                                        : a.duration_us() > b.duration_us();
  });
  for (const TraceSpan& span : nested) trace.AddSpan(process, span.track(), span);
  for (auto& [track, groups] : overlapping) trace.AddInLanes(process, track, std::move(groups));
}

}  // namespace

std::string StepTraceToJson(const StepTrace& step) {
  ChromeTrace trace;
  for (const RankTrace& rank : step.ranks) AddRank(rank, trace);
  std::map<std::string, std::vector<SpanGroup>> workers, models;
  int left_out = 0;
  for (const Trajectory& trajectory : step.trajectories) {
    SpanGroup episode = EpisodeGroup(trajectory);
    const int64_t end = episode.front().start_us() + episode.front().duration_us();
    if (!trajectory.has_trace() || end < step.begin_us) {
      ++left_out;
      continue;
    }
    workers[trajectory.worker_id()].push_back(std::move(episode));
    for (const PoolCall& call : trajectory.pool_calls()) {
      models[call.model()].push_back(CallGroup(trajectory, call));
    }
  }
  for (auto& [worker, episodes] : workers) {
    trace.AddInLanes(trace.AddProcess(absl::StrCat("worker ", worker)), "episode",
                     std::move(episodes));
  }
  if (!models.empty()) {
    const int pool = trace.AddProcess("pool");
    for (auto& [model, calls] : models) trace.AddInLanes(pool, model, std::move(calls));
  }
  const absl::Time begin = absl::FromUnixMicros(step.begin_us);
  return trace.ToJson(
      {{"run", step.run_name},
       {"step", step.step},
       {"began", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", begin, absl::UTCTimeZone())},
       {"seconds", static_cast<double>(step.end_us - step.begin_us) * 1e-6},
       {"episodes", step.trajectories.size()},
       {"episodes_left_out", left_out}});
}

}  // namespace routewright
