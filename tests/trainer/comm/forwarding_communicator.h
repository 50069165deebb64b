// A communicator that passes every collective on to another: tests override what
// they want to see or spoil.
#pragma once

#include <cstdlib>
#include <memory>
#include <utility>

#include "common/status_macros.h"
#include "trainer/comm/communicator.h"

namespace routewright {

class ForwardingCommunicator : public Communicator {
 public:
  // `target` must outlive this object.
  explicit ForwardingCommunicator(Communicator* target) : target_(target) {}
  explicit ForwardingCommunicator(std::unique_ptr<Communicator> target)
      : owned_(std::move(target)), target_(owned_.get()) {}
  int rank() const override { return target_->rank(); }
  int size() const override { return target_->size(); }
  int local_rank() const override { return target_->local_rank(); }
  int local_size() const override { return target_->local_size(); }
  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    return target_->AllReduceSum(name, buffer);
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override {
    return target_->Broadcast(name, buffer, root);
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    return target_->AllGather(name, mine, all);
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    return target_->ReduceScatterSum(name, all, mine);
  }
  std::unique_ptr<Collective> Barrier(std::string_view name) override {
    return target_->Barrier(name);
  }
  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) override {
    RW_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group, target_->Split(name, color));
    return Wrap(std::move(group));
  }
  void BeginStep(int64_t step) override { target_->BeginStep(step); }
  [[noreturn]] void Abort(const absl::Status& why) override {
    target_->Abort(why);
    std::abort();
  }

 protected:
  // What a group that was split off is used through: here itself.
  virtual std::unique_ptr<Communicator> Wrap(std::unique_ptr<Communicator> group) { return group; }

 private:
  const std::unique_ptr<Communicator> owned_;
  Communicator* const target_;
};

}  // namespace routewright
