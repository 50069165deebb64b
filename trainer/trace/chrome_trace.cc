#include "trainer/trace/chrome_trace.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

using nlohmann::ordered_json;

int64_t EndOf(const TraceSpan& span) { return span.start_us() + span.duration_us(); }

// ph "M": what a process or track is called, and where it stands.
ordered_json Metadata(const char* what, int process, int track, const char* key,
                      const ordered_json& value) {
  return {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", track}, {"args", {{key, value}}}};
}

}  // namespace

int ChromeTrace::AddProcess(const std::string& name) {
  processes_.push_back(name);
  return static_cast<int>(processes_.size()) - 1;
}

int ChromeTrace::Track(int process, const std::string& name) {
  const auto [found, is_new] =
      track_numbers_.try_emplace({process, name}, static_cast<int>(tracks_.size()));
  if (is_new) tracks_.emplace_back(process, name);
  return found->second;
}

void ChromeTrace::AddSpan(int process, const std::string& track, const TraceSpan& span) {
  events_.push_back({.process = process, .track = Track(process, track), .span = span});
}

void ChromeTrace::AddInLanes(int process, const std::string& track, std::vector<SpanGroup> groups) {
  std::erase_if(groups, [](const SpanGroup& group) { return group.empty(); });
  std::stable_sort(groups.begin(), groups.end(), [](const SpanGroup& a, const SpanGroup& b) {
    return a.front().start_us() < b.front().start_us();
  });
  std::vector<int64_t> free_at;  // of each lane
  for (const SpanGroup& group : groups) {
    const auto is_free = [&](int64_t time) { return time <= group.front().start_us(); };
    const auto found = std::find_if(free_at.begin(), free_at.end(), is_free);
    const size_t lane = found - free_at.begin();
    if (found == free_at.end()) free_at.push_back(0);
    free_at[lane] = EndOf(group.front());
    for (const TraceSpan& span : group) {
      AddSpan(process, absl::StrCat(track, " ", lane + 1), span);
    }
  }
}

std::string ChromeTrace::ToJson(const ordered_json& about) const {
  int64_t origin = std::numeric_limits<int64_t>::max();
  for (const Event& event : events_) origin = std::min(origin, event.span.start_us());
  ordered_json events = ordered_json::array();
  // Numbers begin at 1: process 0 is the idle one.
  for (size_t p = 0; p < processes_.size(); ++p) {
    const int pid = static_cast<int>(p) + 1;
    events.push_back(Metadata("process_name", pid, 0, "name", processes_[p]));
    events.push_back(Metadata("process_sort_index", pid, 0, "sort_index", pid));
  }
  for (size_t t = 0; t < tracks_.size(); ++t) {
    const int pid = tracks_[t].first + 1, tid = static_cast<int>(t) + 1;
    events.push_back(Metadata("thread_name", pid, tid, "name", tracks_[t].second));
    events.push_back(Metadata("thread_sort_index", pid, tid, "sort_index", tid));
  }
  for (const Event& event : events_) {
    ordered_json json = {{"ph", "X"},
                         {"name", event.span.name()},
                         {"pid", event.process + 1},
                         {"tid", event.track + 1},
                         {"ts", event.span.start_us() - origin},
                         {"dur", event.span.duration_us()}};
    const std::map<std::string, std::string> details(event.span.details().begin(),
                                                     event.span.details().end());
    if (!details.empty()) json["args"] = details;
    events.push_back(std::move(json));
  }
  const ordered_json trace = {
      {"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}, {"otherData", about}};
  return trace.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace routewright
