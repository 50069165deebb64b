// Carries pool calls through their attempts: queue per model → transfer → judge → pause and again,
// or finish; meters every attempt, and writes the ledger before a finished call leaves.
// HttpPoolClient's thread drives it.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "rollout_workers/pool/http_pool_client.h"
#include "rollout_workers/pool/pool_client.h"
#include "rollout_workers/pool/pool_endpoint.h"
#include "rollout_workers/pool/pool_ledger.h"
#include "rollout_workers/pool/pool_metering.h"
#include "rollout_workers/pool/pool_transfer.h"

namespace routewright {

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// One thread, but for Interrupt.
class PoolCallDriver {
 public:
  PoolCallDriver(const PoolConfig& config, std::vector<PoolEndpoint> endpoints, PoolLedger ledger,
                 HttpPoolClientOptions options);
  ~PoolCallDriver();

  // Takes a call in. The model must be one of the endpoints', the id not under way.
  void Begin(PoolRequest request);
  // Ends a call as CANCELLED; unknown ids are ignored.
  void Cancel(const std::string& call_id);
  void CancelAll();

  // Starts what may start, moves every transfer on, then waits for the network, the next
  // pause's end or Interrupt.
  void Advance();
  // Ends Advance's wait. Any thread.
  void Interrupt();

  // Calls that finished since the last time. Each has its ledger line, or came to nothing
  // because the ledger broke.
  std::vector<PoolCall> TakeFinished();
  // The ledger's first error, or that the budget is spent. From then on no attempt is started.
  const absl::Status& stop_status() const { return stop_status_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  // The calls of one model. Those under way are in transfer or pausing;
  // max_concurrency counts both.
  struct Model {
    PoolEndpoint endpoint;
    std::deque<std::string> queued;  // call ids
    int num_under_way = 0;
  };
  struct Call {
    PoolRequest request;
    Model* model = nullptr;         // of models_
    PoolCall record;                // filled in attempt by attempt
    CallTrace trace;                // of a traced call
    absl::Time span_begin;          // of what it does now
    Time started;                   // of the first attempt
    absl::Duration jittered_pause;  // the last one drawn
    std::unique_ptr<PoolTransfer> transfer;
    Time resume_at;  // end of the pause, when there is no transfer
  };

  absl::Duration TimeLeft(const Call& call) const;
  void StartQueued();
  void StartAttempt(Call& call);
  void ResumeAfterPauses();
  void TakeEndedTransfers();
  void EndAttempt(Call& call, CURLcode code);
  AttemptResult TakeTransfer(Call& call, CURLcode code);
  void MeterAndRecord(const AttemptResult& result, Call& call);
  // What the call did until now was this.
  static void EndSpan(std::string name, Call& call);
  void Finish(Call& call, CallOutcome outcome, std::string reply, std::string error);
  void EndIdleCalls();
  int WaitMilliseconds() const;

  const PoolConfig config_;
  const HttpPoolClientOptions options_;
  PoolLedger ledger_;
  absl::Status stop_status_;
  std::map<std::string, Model> models_;                 // by listed name
  std::unique_ptr<CURLM, MultiDeleter> multi_;          // outlives the transfers below
  std::map<std::string, std::unique_ptr<Call>> calls_;  // by call id
  std::map<CURL*, Call*> transfers_;                    // into calls_
  std::vector<PoolCall> finished_;
};

}  // namespace routewright
