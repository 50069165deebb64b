// A pool for tests: answers at once from a function, or when the test says so.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rollout_workers/pool/pool_client.h"

namespace routewright {

// Thread-safe.
class FakePool final : public PoolClient {
 public:
  // What a call ends in; call_id, round and model are filled in afterwards, an
  // unset outcome becomes OK.
  using Answer = std::function<PoolCall(const PoolRequest&)>;

  explicit FakePool(Answer answer) : answer_(std::move(answer)) {}

  // An answer: `reply`, 10 tokens in, 5 out, at `cost_picousd`.
  static PoolCall Reply(std::string reply, int64_t cost_picousd = 1000) {
    PoolCall call;
    call.set_outcome(CALL_OUTCOME_OK);
    call.set_reply(std::move(reply));
    call.set_input_tokens(10);
    call.set_output_tokens(5);
    call.set_cost_picousd(cost_picousd);
    call.set_attempts(1);
    call.set_http_status(200);
    return call;
  }
  static PoolCall Failure(CallOutcome outcome, std::string error = "the test says so") {
    PoolCall call;
    call.set_outcome(outcome);
    call.set_error(std::move(error));
    call.set_attempts(1);
    return call;
  }

  // From now on calls wait for Finish or FinishAll.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    is_holding_ = true;
  }
  // Finishes one held call; false if there is none of this id.
  bool Finish(const std::string& call_id) {
    absl::MutexLock lock(&mutex_);
    auto held = held_.find(call_id);
    if (held == held_.end()) return false;
    finished_.push_back(Answered(held->second));
    held_.erase(held);
    return true;
  }
  void FinishAll() {
    absl::MutexLock lock(&mutex_);
    for (const auto& [call_id, request] : held_) finished_.push_back(Answered(request));
    held_.clear();
  }
  // From now on Start fails and status() says this.
  void Break(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    status_ = std::move(status);
  }
  // Every request so far, in order of Start.
  std::vector<PoolRequest> requests() const {
    absl::MutexLock lock(&mutex_);
    return requests_;
  }

  absl::Status Start(PoolRequest request) override {
    absl::MutexLock lock(&mutex_);
    if (!status_.ok()) return status_;
    if (held_.count(request.call_id) > 0) return absl::AlreadyExistsError(request.call_id);
    requests_.push_back(request);
    if (is_holding_) {
      held_.emplace(request.call_id, std::move(request));
    } else {
      finished_.push_back(Answered(request));
    }
    return absl::OkStatus();
  }
  void Cancel(const std::string& call_id) override {
    absl::MutexLock lock(&mutex_);
    auto held = held_.find(call_id);
    if (held == held_.end()) return;
    finished_.push_back(Named(Failure(CALL_OUTCOME_CANCELLED, "cancelled"), held->second));
    held_.erase(held);
  }
  std::vector<PoolCall> TakeFinished(absl::Duration wait) override {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &FakePool::HasNews), wait);
    is_woken_ = false;
    return std::exchange(finished_, {});
  }
  void Wake() override {
    absl::MutexLock lock(&mutex_);
    is_woken_ = true;
  }
  absl::Status status() const override {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  static PoolCall Named(PoolCall call, const PoolRequest& request) {
    call.set_call_id(request.call_id);
    call.set_round(request.round);
    call.set_model(request.model);
    return call;
  }
  PoolCall Answered(const PoolRequest& request) const {
    PoolCall call = answer_(request);
    if (call.outcome() == CALL_OUTCOME_UNSPECIFIED) call.set_outcome(CALL_OUTCOME_OK);
    return Named(std::move(call), request);
  }
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_woken_ || !finished_.empty();
  }

  const Answer answer_;
  mutable absl::Mutex mutex_;
  bool is_holding_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_woken_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, PoolRequest> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<PoolRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<PoolCall> finished_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace routewright
