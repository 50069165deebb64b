#include "rollout_workers/generator/stop_detector.h"

#include <algorithm>
#include <utility>

namespace routewright {

StopDetector::StopDetector(std::vector<std::string> stop_strings)
    : stop_strings_(std::move(stop_strings)) {
  std::erase(stop_strings_, "");
  for (const std::string& stop : stop_strings_) longest_ = std::max(longest_, stop.size());
}

bool StopDetector::Append(std::string_view token_bytes) {
  if (longest_ == 0) return false;
  tail_.append(token_bytes);
  for (const std::string& stop : stop_strings_) {
    if (tail_.find(stop) != std::string::npos) return true;
  }
  if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ - 1));
  return false;
}

}  // namespace routewright
