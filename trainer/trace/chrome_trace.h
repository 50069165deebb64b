// A trace in the Trace Event Format (JSON object form), as Perfetto and chrome://tracing open it:
// processes, their tracks, and spans on these. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "proto/trace.pb.h"

namespace routewright {

// Spans that lie inside the first one, in order of their beginning, an outer
// one before its inner ones.
using SpanGroup = std::vector<TraceSpan>;

class ChromeTrace {
 public:
  // Shown in the order of their making.
  int AddProcess(const std::string& name);
  // Onto the process' track of this name. A track's spans must nest.
  void AddSpan(int process, const std::string& track, const TraceSpan& span);
  // Groups that may overlap: each goes onto the first of the tracks "track 1", "track 2", … that is
  // free, in order of their beginning.
  void AddInLanes(int process, const std::string& track, std::vector<SpanGroup> groups);

  // Times from the earliest span on; `about` is shown with the trace.
  std::string ToJson(const nlohmann::ordered_json& about) const;

 private:
  struct Event {
    int process;
    int track;
    TraceSpan span;
  };
  int Track(int process, const std::string& name);

  std::vector<std::string> processes_;
  std::vector<std::pair<int, std::string>> tracks_;  // process and name
  std::map<std::pair<int, std::string>, int> track_numbers_;
  std::vector<Event> events_;
};

}  // namespace routewright
