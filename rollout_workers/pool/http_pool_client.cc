#include "rollout_workers/pool/http_pool_client.h"

#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "rollout_workers/pool/pool_call_driver.h"

namespace routewright {
namespace {

// Callers leave requests and cancellations in the inbox and take calls from the
// outbox; the thread drives.
class HttpPoolClient final : public PoolClient {
 public:
  HttpPoolClient(std::set<std::string> models, std::unique_ptr<PoolCallDriver> driver)
      : models_(std::move(models)),
        driver_(std::move(driver)),
        thread_([this](std::stop_token stop) { Drive(stop); }) {}

  ~HttpPoolClient() override {
    thread_.request_stop();
    driver_->Interrupt();
    thread_.join();
  }

  absl::Status Start(PoolRequest request) override {
    if (!models_.contains(request.model)) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no pool model \"", request.model, "\""));
    }
    {
      absl::MutexLock lock(&mutex_);
      RW_RETURN_IF_ERROR(status_);
      if (!under_way_.insert(request.call_id).second) {
        return absl::AlreadyExistsError(
            absl::StrCat("pool call ", request.call_id, " is under way"));
      }
      started_.push_back(std::move(request));
    }
    driver_->Interrupt();
    return absl::OkStatus();
  }

  void Cancel(const std::string& call_id) override {
    {
      absl::MutexLock lock(&mutex_);
      if (!under_way_.contains(call_id)) return;
      cancelled_.push_back(call_id);
    }
    driver_->Interrupt();
  }

  std::vector<PoolCall> TakeFinished(absl::Duration wait) override {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(this, &HttpPoolClient::HasNews), wait);
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
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_woken_ || !finished_.empty();
  }

  void Drive(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<PoolRequest> started;
      std::vector<std::string> cancelled;
      {
        absl::MutexLock lock(&mutex_);
        started.swap(started_);
        cancelled.swap(cancelled_);
      }
      for (PoolRequest& request : started) driver_->Begin(std::move(request));
      for (const std::string& call_id : cancelled) driver_->Cancel(call_id);
      driver_->Advance();
      HandOut(driver_->TakeFinished());
    }
    driver_->CancelAll();
  }

  void HandOut(std::vector<PoolCall> calls) {
    if (calls.empty()) return;
    absl::MutexLock lock(&mutex_);
    status_ = driver_->stop_status();
    for (PoolCall& call : calls) {
      under_way_.erase(call.call_id());
      finished_.push_back(std::move(call));
    }
  }

  const std::set<std::string> models_;
  const std::unique_ptr<PoolCallDriver> driver_;  // the thread's alone, but for Interrupt
  mutable absl::Mutex mutex_;
  std::set<std::string> under_way_ ABSL_GUARDED_BY(mutex_);  // started, not handed out yet
  std::vector<PoolRequest> started_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> cancelled_ ABSL_GUARDED_BY(mutex_);
  std::vector<PoolCall> finished_ ABSL_GUARDED_BY(mutex_);
  bool is_woken_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;  // the last to begin, the first to end
};

}  // namespace

absl::StatusOr<std::unique_ptr<PoolClient>> MakeHttpPoolClient(const PoolConfig& config,
                                                               HttpPoolClientOptions options) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  RW_CHECK(initialized == CURLE_OK) << curl_easy_strerror(initialized);
  if (!options.count_tokens) options.count_tokens = CountFourByteTokens;
  std::vector<PoolEndpoint> endpoints;
  std::set<std::string> names;
  for (const PoolModelConfig& model : config.models()) {
    if (!names.insert(model.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("pool.models: \"", model.name(), "\" is there twice"));
    }
    RW_ASSIGN_OR_RETURN(PoolEndpoint endpoint, ResolveEndpoint(model));
    endpoints.push_back(std::move(endpoint));
  }
  RW_ASSIGN_OR_RETURN(PoolLedger ledger, PoolLedger::Open(*options.files, options.ledger_folder));
  auto driver = std::make_unique<PoolCallDriver>(config, std::move(endpoints), std::move(ledger),
                                                 std::move(options));
  return std::make_unique<HttpPoolClient>(std::move(names), std::move(driver));
}

}  // namespace routewright
