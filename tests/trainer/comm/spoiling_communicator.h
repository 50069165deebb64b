// A communicator that spoils some of its collectives, and those of the groups split off it: what
// the tests of sharding must notice.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "tests/trainer/comm/forwarding_communicator.h"
#include "trainer/comm/local_communicator.h"

namespace routewright {

enum class Fault {
  kUnsummed,    // of a sum: every rank keeps its own terms
  kLost,        // of a sum: this rank's terms are zero; of a gather: everything is
  kShifted,     // of a sum: a thousandth is added to each of this rank's terms
  kRounded,     // of a sum: this rank's terms are rounded to bf16
  kBackwards,   // of a sum: it is made from the last rank to the first
  kUngathered,  // of a gather: what the other ranks hold does not come
};

struct Spoilt {
  Fault fault;
  std::string prefix;  // of the names of the collectives
  int every = 1;       // 2: the second, fourth … of each name
  int only_rank = -1;  // that spoils; -1: all do
};

class SpoilingCommunicator final : public ForwardingCommunicator {
 public:
  SpoilingCommunicator(Communicator* target, Spoilt spoilt)
      : ForwardingCommunicator(target), spoilt_(std::move(spoilt)) {}
  SpoilingCommunicator(std::unique_ptr<Communicator> target, Spoilt spoilt)
      : ForwardingCommunicator(std::move(target)), spoilt_(std::move(spoilt)) {}

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    if (IsSpoilt(name)) {
      if (spoilt_.fault == Fault::kUnsummed) return Done(name);
      if (spoilt_.fault == Fault::kBackwards) {
        AddBackwards(name, buffer);
        return Done(name);
      }
      SpoilTerms(buffer);
    }
    return ForwardingCommunicator::AllReduceSum(name, buffer);
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (IsSpoilt(name)) {  // `mine` lies in `all`, at its place
      if (spoilt_.fault == Fault::kUnsummed) return Done(name);
      if (spoilt_.fault == Fault::kBackwards) {
        AddBackwards(name, all);
        return Done(name);
      }
      SpoilTerms(all);
    }
    return ForwardingCommunicator::ReduceScatterSum(name, all, mine);
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    if (!IsSpoilt(name)) return ForwardingCommunicator::AllGather(name, mine, all);
    if (spoilt_.fault == Fault::kLost) {
      RW_CHECK(ForwardingCommunicator::AllGather(name, mine, all)->Wait().ok()) << name;
      std::memset(all.data, 0, Bytes(all));
    } else if (name.starts_with("gather/")) {
      ZeroAllBut(mine, all);
    }
    return Done(name);
  }

 private:
  std::unique_ptr<Communicator> Wrap(std::unique_ptr<Communicator> group) override {
    return std::make_unique<SpoilingCommunicator>(std::move(group), spoilt_);
  }
  bool IsSpoilt(std::string_view name) {
    if (!name.starts_with(spoilt_.prefix)) return false;
    if (spoilt_.only_rank >= 0 && spoilt_.only_rank != rank()) return false;
    return ++calls_[std::string(name)] % spoilt_.every == 0;
  }
  std::unique_ptr<Collective> Done(std::string_view name) { return local_->Barrier(name); }

  static size_t Bytes(const CommBuffer& buffer) {
    return buffer.num_elements * CommTypeBytes(buffer.type);
  }
  void SpoilTerms(const CommBuffer& buffer) const {
    if (spoilt_.fault == Fault::kLost) {
      std::memset(buffer.data, 0, Bytes(buffer));
      return;
    }
    RW_CHECK(buffer.type == CommType::kFloat32) << "gradients are f32";
    auto* const terms = static_cast<float*>(buffer.data);
    for (int64_t i = 0; i < buffer.num_elements; ++i) {
      terms[i] = spoilt_.fault == Fault::kShifted ? terms[i] + 1e-3f
                                                  : static_cast<float>(c10::BFloat16(terms[i]));
    }
  }
  void AddBackwards(std::string_view name, const CommBuffer& buffer) {
    RW_CHECK(buffer.type == CommType::kFloat32) << "gradients are f32";
    const int64_t n = buffer.num_elements;
    std::vector<float> terms(n * size());
    const CommBuffer all{.data = terms.data(), .num_elements = n * size()};
    RW_CHECK(ForwardingCommunicator::AllGather(name, buffer, all)->Wait().ok()) << name;
    auto* const sum = static_cast<float*>(buffer.data);
    for (int64_t i = 0; i < n; ++i) {
      sum[i] = terms[n * (size() - 1) + i];
      for (int r = size() - 2; r >= 0; --r) sum[i] += terms[n * r + i];
    }
  }
  // Bytes that were dropped hold anything: zeros, so that a test is not decided by chance.
  static void ZeroAllBut(const CommBuffer& mine, const CommBuffer& all) {
    char* const begin = static_cast<char*>(all.data);
    char* const own = static_cast<char*>(mine.data);
    std::memset(begin, 0, own - begin);
    std::memset(own + Bytes(mine), 0, begin + Bytes(all) - (own + Bytes(mine)));
  }

  const Spoilt spoilt_;
  std::map<std::string, int> calls_;  // by name
  const std::unique_ptr<Communicator> local_ = NewLocalCommunicator();
};

}  // namespace routewright
