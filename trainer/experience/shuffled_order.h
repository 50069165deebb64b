// An endless order over n items: pass after pass, each in an order of its own. A pure function of
// (seed, name, cursor), so that a cursor is all that must be saved to go on. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace routewright {

class ShuffledOrder {
 public:
  // n > 0. `name` tells orders of one run apart.
  ShuffledOrder(size_t n, uint64_t seed, std::string name);
  // The item at place `cursor` of the endless order, in [0, n).
  size_t At(uint64_t cursor);

 private:
  void ShuffleForPass(uint64_t pass);

  const uint64_t seed_;
  const std::string name_;
  std::vector<uint32_t> order_;  // of the pass shuffled_pass_
  uint64_t shuffled_pass_ = ~uint64_t{0};
};

}  // namespace routewright
