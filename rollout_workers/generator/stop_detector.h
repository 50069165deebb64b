// Finds the end of a round: the first token after which the round's bytes contain one of the stop
// strings, wherever the tokens' borders lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace routewright {

class StopDetector {
 public:
  // Empty strings never stop.
  explicit StopDetector(std::vector<std::string> stop_strings);
  // Adds one token's bytes; true if the round's bytes now contain a stop string.
  bool Append(std::string_view token_bytes);

 private:
  std::vector<std::string> stop_strings_;
  size_t longest_ = 0;
  std::string tail_;  // the last bytes of the round, one fewer than the longest stop string
};

}  // namespace routewright
