// The spans of a Chrome trace as text, for tests.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace routewright {

// "process/track/name start+duration" of each, in the file's order.
inline std::vector<std::string> ShownSpans(const nlohmann::ordered_json& trace) {
  std::map<int, std::string> processes;
  std::map<std::pair<int, int>, std::string> tracks;
  std::vector<std::string> spans;
  for (const auto& event : trace["traceEvents"]) {
    const int pid = event["pid"], tid = event["tid"];
    if (event["name"] == "process_name") processes[pid] = event["args"]["name"];
    if (event["name"] == "thread_name") tracks[{pid, tid}] = event["args"]["name"];
    if (event["ph"] != "X") continue;
    spans.push_back(absl::StrCat(processes.at(pid), "/", tracks.at({pid, tid}), "/",
                                 event["name"].get<std::string>(), " ", event["ts"].get<int64_t>(),
                                 "+", event["dur"].get<int64_t>()));
  }
  return spans;
}

}  // namespace routewright
