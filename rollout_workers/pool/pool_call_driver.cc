#include "rollout_workers/pool/pool_call_driver.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/random.h"
#include "common/trace.h"
#include "common/trajectory_facts.h"

namespace routewright {
namespace {

constexpr size_t kMaxReplyBytes = 1 << 20;
constexpr size_t kMaxBytesPerStreamedToken =
    1024;  // a token's event with all that servers put into it
constexpr int kLongestWaitMs = 60'000;

// A stream's events are much longer than their text.
size_t MaxResponseBytes(const PoolConfig& config) {
  return std::max(kMaxReplyBytes,
                  static_cast<size_t>(config.max_reply_tokens()) * kMaxBytesPerStreamedToken);
}

void CheckMulti(CURLMcode code) { RW_CHECK(code == CURLM_OK) << curl_multi_strerror(code); }

}  // namespace

PoolCallDriver::PoolCallDriver(const PoolConfig& config, std::vector<PoolEndpoint> endpoints,
                               PoolLedger ledger, HttpPoolClientOptions options)
    : config_(config),
      options_(std::move(options)),
      ledger_(std::move(ledger)),
      multi_(curl_multi_init()) {
  RW_CHECK(multi_ != nullptr) << "libcurl is out of memory";
  for (PoolEndpoint& endpoint : endpoints) {
    const std::string name = endpoint.model.name();
    models_[name].endpoint = std::move(endpoint);
  }
}

PoolCallDriver::~PoolCallDriver() { CancelAll(); }

void PoolCallDriver::Begin(PoolRequest request) {
  const auto model = models_.find(request.model);
  RW_CHECK(model != models_.end()) << "no pool model " << request.model;
  auto call = std::make_unique<Call>();
  call->model = &model->second;
  call->record.set_call_id(request.call_id);
  call->record.set_model(request.model);
  call->record.set_round(request.round);
  call->request = std::move(request);
  call->span_begin = absl::Now();
  model->second.queued.push_back(call->request.call_id);
  const std::string call_id = call->request.call_id;
  const bool is_new = calls_.emplace(call_id, std::move(call)).second;
  RW_CHECK(is_new) << "pool call " << call_id << " is under way already";
}

void PoolCallDriver::Cancel(const std::string& call_id) {
  const auto found = calls_.find(call_id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  if (call.transfer != nullptr) MeterAndRecord(TakeTransfer(call, CURLE_ABORTED_BY_CALLBACK), call);
  Finish(call, CALL_OUTCOME_CANCELLED, "", "cancelled");
}

void PoolCallDriver::CancelAll() {
  while (!calls_.empty()) Cancel(std::string(calls_.begin()->first));
}

void PoolCallDriver::Advance() {
  if (options_.budget != nullptr) stop_status_.Update(options_.budget->Check());
  if (!stop_status_.ok()) EndIdleCalls();
  ResumeAfterPauses();
  StartQueued();
  int num_running = 0;
  CheckMulti(curl_multi_perform(multi_.get(), &num_running));
  TakeEndedTransfers();
  if (!finished_.empty()) return;  // they go out first
  CheckMulti(curl_multi_poll(multi_.get(), /*extra_fds=*/nullptr, /*extra_nfds=*/0,
                             WaitMilliseconds(),
                             /*numfds=*/nullptr));
}

void PoolCallDriver::Interrupt() { CheckMulti(curl_multi_wakeup(multi_.get())); }

std::vector<PoolCall> PoolCallDriver::TakeFinished() { return std::exchange(finished_, {}); }

absl::Duration PoolCallDriver::TimeLeft(const Call& call) const {
  const auto spent = std::chrono::steady_clock::now() - call.started;
  return absl::Seconds(config_.total_timeout_s()) - absl::FromChrono(spent);
}

void PoolCallDriver::StartQueued() {
  for (auto& [name, model] : models_) {
    while (!model.queued.empty() && model.num_under_way < model.endpoint.model.max_concurrency()) {
      Call& call = *calls_.at(model.queued.front());
      model.queued.pop_front();
      ++model.num_under_way;
      call.started = std::chrono::steady_clock::now();
      StartAttempt(call);
    }
  }
}

void PoolCallDriver::EndSpan(std::string name, Call& call) {
  if (!call.request.is_traced) return;
  const absl::Time now = absl::Now();
  *call.trace.add_spans() = MakeSpan(name, call.span_begin, now);
  call.span_begin = now;
}

void PoolCallDriver::StartAttempt(Call& call) {
  EndSpan(call.record.attempts() == 0 ? "queued" : "pause", call);
  const PoolEndpoint& endpoint = call.model->endpoint;
  call.record.set_attempts(call.record.attempts() + 1);
  call.transfer = std::make_unique<PoolTransfer>(
      endpoint,
      endpoint.protocol->RequestBody({.served_model = endpoint.served_model,
                                      .prompt = call.request.prompt,
                                      .max_tokens = config_.max_reply_tokens(),
                                      .temperature = config_.temperature()}),
      absl::Seconds(config_.connect_timeout_s()),
      std::min(absl::Seconds(config_.call_timeout_s()), TimeLeft(call)), MaxResponseBytes(config_));
  transfers_[call.transfer->handle()] = &call;
  CheckMulti(curl_multi_add_handle(multi_.get(), call.transfer->handle()));
}

void PoolCallDriver::ResumeAfterPauses() {
  const Time now = std::chrono::steady_clock::now();
  for (auto& [call_id, call] : calls_) {
    const bool is_pausing = call->record.attempts() > 0 && call->transfer == nullptr;
    if (is_pausing && call->resume_at <= now) StartAttempt(*call);
  }
}

void PoolCallDriver::TakeEndedTransfers() {
  int num_left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &num_left)) {
    if (message->msg != CURLMSG_DONE) continue;
    // The message dies with its handle's removal.
    const CURLcode code = message->data.result;
    EndAttempt(*transfers_.at(message->easy_handle), code);
  }
}

AttemptResult PoolCallDriver::TakeTransfer(Call& call, CURLcode code) {
  CURL* handle = call.transfer->handle();
  transfers_.erase(handle);
  AttemptResult result = call.transfer->Finish(code);
  CheckMulti(curl_multi_remove_handle(multi_.get(), handle));
  call.transfer.reset();
  return result;
}

void PoolCallDriver::MeterAndRecord(const AttemptResult& result, Call& call) {
  EndSpan(absl::StrCat("attempt ", call.record.attempts(), ": HTTP ", result.http_status), call);
  call.record.set_http_status(result.http_status);
  if (result.http_status != 200) return;
  if (!result.reply.served_model.empty()) {
    call.record.set_served_model(Redacted(result.reply.served_model, call.model->endpoint.api_key));
  }
  const MeteredTokens metered = MeterAttempt(result.reply, call.request.prompt,
                                             config_.max_reply_tokens(), options_.count_tokens);
  AddToCall(call.model->endpoint.model, metered, call.record);
}

void PoolCallDriver::EndAttempt(Call& call, CURLcode code) {
  AttemptResult result = TakeTransfer(call, code);
  MeterAndRecord(result, call);
  const AttemptVerdict verdict = JudgeAttempt(result, absl::Now());
  if (IsDelivered(verdict.outcome))
    return Finish(call, verdict.outcome, std::move(result.reply.text), "");

  const uint64_t key = StreamKey(options_.seed, call.request.call_id, 0);
  call.jittered_pause = JitteredPause(config_, key, call.record.attempts(), call.jittered_pause);
  const std::optional<absl::Duration> pause =
      stop_status_.ok() ? PauseBeforeRetry(config_, verdict, call.record.attempts(),
                                           call.jittered_pause, TimeLeft(call))
                        : std::nullopt;
  if (pause.has_value()) {
    call.resume_at = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(*pause);
    return;
  }
  Finish(call, verdict.outcome, "",
         absl::StrCat("pool model ", call.request.model, " at ", call.model->endpoint.base_url,
                      ": ", verdict.error,
                      call.record.attempts() > 1
                          ? absl::StrCat(" (", call.record.attempts(), " attempts)")
                          : ""));
}

// Writes the ledger line, then hands the call out. A call that was never sent cost
// nothing and has no line.
void PoolCallDriver::Finish(Call& call, CallOutcome outcome, std::string reply, std::string error) {
  const Secret& key = call.model->endpoint.api_key;
  PoolCall& record = call.record;
  record.set_outcome(outcome);
  record.set_reply(Redacted(reply, key));
  record.set_error(Redacted(error, key));
  const bool was_sent = record.attempts() > 0;
  if (was_sent) {
    record.set_latency_ms(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - call.started)
            .count());
    --call.model->num_under_way;
    const absl::Status written = ledger_.Write(record, absl::Now());
    if (!written.ok()) {
      stop_status_.Update(absl::Status(
          written.code(), absl::StrCat("the ledger cannot be written: ", written.message())));
      record.clear_reply();
      record.set_outcome(CALL_OUTCOME_UNAVAILABLE);
      record.set_error(absl::StrCat("the reply is withheld, for the ledger has no line of it: ",
                                    written.message()));
    }
  } else {
    std::deque<std::string>& queued = call.model->queued;
    queued.erase(std::remove(queued.begin(), queued.end(), call.request.call_id), queued.end());
  }
  if (call.request.is_traced) *record.mutable_trace() = std::move(call.trace);
  finished_.push_back(std::move(record));
  calls_.erase(calls_.find(call.request.call_id));
}

// Without a ledger, or a budget, nothing more is spent: what has no transfer under way ends now.
void PoolCallDriver::EndIdleCalls() {
  std::vector<Call*> idle;
  for (auto& [call_id, call] : calls_) {
    if (call->transfer == nullptr) idle.push_back(call.get());
  }
  for (Call* call : idle) {
    Finish(*call, CALL_OUTCOME_UNAVAILABLE, "", absl::StrCat("not sent: ", stop_status_.message()));
  }
}

int PoolCallDriver::WaitMilliseconds() const {
  const Time now = std::chrono::steady_clock::now();
  auto wait = std::chrono::nanoseconds(std::chrono::milliseconds(kLongestWaitMs));
  for (const auto& [call_id, call] : calls_) {
    if (call->record.attempts() > 0 && call->transfer == nullptr) {
      wait = std::min<std::chrono::nanoseconds>(wait, call->resume_at - now);
    }
  }
  return static_cast<int>(
      std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(wait).count()));
}

}  // namespace routewright
