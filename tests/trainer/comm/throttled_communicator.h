// A communicator over a link of a given rate: a collective is complete when the real one is and the
// link would be done, which carries one after the other. Writes down when each was on the link and
// how long the caller waited for it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/trainer/comm/forwarding_communicator.h"

namespace routewright {

struct LinkUse {
  std::string name;
  int64_t bytes = 0;  // that this rank receives
  absl::Time begin, end;
  absl::Time wait_begin, wait_end;
};

class ThrottledCommunicator final : public ForwardingCommunicator {
 public:
  ThrottledCommunicator(Communicator* target, double bytes_per_s)
      : ForwardingCommunicator(target), bytes_per_s_(bytes_per_s) {}

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    auto inner = ForwardingCommunicator::AllReduceSum(name, buffer);
    return Throttle(name, 2 * Received(buffer), std::move(inner));
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    auto inner = ForwardingCommunicator::AllGather(name, mine, all);
    return Throttle(name, Received(all), std::move(inner));
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    auto inner = ForwardingCommunicator::ReduceScatterSum(name, all, mine);
    return Throttle(name, Received(all), std::move(inner));
  }

  std::vector<LinkUse>& uses() { return uses_; }

 private:
  class Throttled final : public Collective {
   public:
    Throttled(ThrottledCommunicator* owner, size_t use, std::unique_ptr<Collective> inner)
        : owner_(owner), use_(use), inner_(std::move(inner)) {}
    absl::Status Wait() override {
      owner_->uses_[use_].wait_begin = absl::Now();
      const absl::Status status = inner_->Wait();
      absl::SleepFor(owner_->uses_[use_].end - absl::Now());
      owner_->uses_[use_].wait_end = absl::Now();
      return status;
    }

   private:
    ThrottledCommunicator* const owner_;
    const size_t use_;
    const std::unique_ptr<Collective> inner_;
  };

  // Of a buffer of size() pieces this rank receives all but its own.
  int64_t Received(const CommBuffer& all) const {
    return all.num_elements * static_cast<int64_t>(CommTypeBytes(all.type)) * (size() - 1) / size();
  }
  std::unique_ptr<Collective> Throttle(std::string_view name, int64_t bytes,
                                       std::unique_ptr<Collective> inner) {
    const absl::Time begin = std::max(absl::Now(), free_at_);
    free_at_ = begin + absl::Seconds(static_cast<double>(bytes) / bytes_per_s_);
    uses_.push_back({.name = std::string(name),
                     .bytes = bytes,
                     .begin = begin,
                     .end = free_at_,
                     .wait_begin = {},
                     .wait_end = {}});
    return std::make_unique<Throttled>(this, uses_.size() - 1, std::move(inner));
  }

  const double bytes_per_s_;
  absl::Time free_at_ = absl::InfinitePast();
  std::vector<LinkUse> uses_;
};

}  // namespace routewright
