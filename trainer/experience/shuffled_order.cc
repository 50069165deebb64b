#include "trainer/experience/shuffled_order.h"

#include <numeric>
#include <utility>

#include "common/check.h"
#include "common/random.h"

namespace routewright {

ShuffledOrder::ShuffledOrder(size_t n, uint64_t seed, std::string name)
    : seed_(seed), name_(std::move(name)), order_(n) {
  RW_CHECK(n > 0) << name_ << " of nothing";
}

size_t ShuffledOrder::At(uint64_t cursor) {
  ShuffleForPass(cursor / order_.size());
  return order_[cursor % order_.size()];
}

// Fisher-Yates over counter-based draws.
void ShuffledOrder::ShuffleForPass(uint64_t pass) {
  if (pass == shuffled_pass_) return;
  shuffled_pass_ = pass;
  std::iota(order_.begin(), order_.end(), 0);
  const uint64_t key = StreamKey(seed_, name_, pass);
  for (size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[RandomBits(key, i) % i]);
  }
}

}  // namespace routewright
