#include "rollout_workers/pool/pool_retry.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/random.h"
#include "common/text.h"

namespace routewright {
namespace {

AttemptVerdict Failure(CallOutcome outcome, bool may_retry, std::string error) {
  return {outcome, may_retry, std::nullopt, std::move(error)};
}

AttemptVerdict JudgeTransport(const AttemptResult& result) {
  const std::string& why = result.transport_error;
  switch (result.end) {
    case TransportEnd::kUnreachable:
      return Failure(CALL_OUTCOME_UNAVAILABLE, true,
                     absl::StrCat("cannot connect (", why, "); is it running?"));
    case TransportEnd::kTimedOut:
      return Failure(CALL_OUTCOME_TIMED_OUT, true,
                     absl::StrCat("no whole reply in time (", why, ")"));
    case TransportEnd::kBroken:
      return Failure(CALL_OUTCOME_UNAVAILABLE, true,
                     absl::StrCat("the connection broke (", why, ")"));
    case TransportEnd::kTooLarge:
      return Failure(CALL_OUTCOME_MALFORMED, false, "the response is larger than the limit");
    case TransportEnd::kNotAllowed:
    case TransportEnd::kWhole:
      break;
  }
  return Failure(CALL_OUTCOME_REJECTED, false, absl::StrCat("cannot call it (", why, ")"));
}

AttemptVerdict JudgeReply(const PoolReply& reply) {
  if (!reply.fault.empty()) return Failure(CALL_OUTCOME_MALFORMED, false, reply.fault);
  if (!reply.is_complete) {
    return Failure(CALL_OUTCOME_UNAVAILABLE, true, "the stream ended before the reply did");
  }
  AttemptVerdict verdict;
  verdict.outcome = CALL_OUTCOME_OK;
  if (reply.is_refusal) verdict.outcome = CALL_OUTCOME_REFUSED;
  if (reply.is_truncated) verdict.outcome = CALL_OUTCOME_TRUNCATED;
  return verdict;
}

bool IsRetriedStatus(int status) {
  return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

// What a server says of a request when it is the query that it cannot take; wordings of OpenAI, Azure, vLLM, SGLang,
// llama.cpp, TGI and Anthropic, in lower case.
struct QueryFault {
  CallOutcome outcome;
  std::string_view words;
};
constexpr QueryFault kQueryFaults[] = {
    {CALL_OUTCOME_REFUSED, "content_filter"},
    {CALL_OUTCOME_REFUSED, "content filter"},
    {CALL_OUTCOME_REFUSED, "content management policy"},
    {CALL_OUTCOME_REFUSED, "content policy"},
    {CALL_OUTCOME_REFUSED, "flagged as potentially violating"},
    {CALL_OUTCOME_TOO_LONG, "context length"},
    {CALL_OUTCOME_TOO_LONG, "context size"},
    {CALL_OUTCOME_TOO_LONG, "context window"},
    {CALL_OUTCOME_TOO_LONG, "context_length_exceeded"},
    {CALL_OUTCOME_TOO_LONG, "prompt is too long"},
    {CALL_OUTCOME_TOO_LONG, "input is too long"},
    {CALL_OUTCOME_TOO_LONG, "longer than the model's"},
    {CALL_OUTCOME_TOO_LONG, "too many tokens"},
    {CALL_OUTCOME_TOO_LONG, "reduce the length"},
};

// The outcome if the query is at fault: the same query would meet the same answer, on any attempt of the episode.
std::optional<CallOutcome> FaultOfQuery(int status, const std::string& message) {
  if (status == 413) return CALL_OUTCOME_TOO_LONG;
  if (status != 400 && status != 422 && status != 500) return std::nullopt;
  const std::string lower = LowerCase(message);
  for (const QueryFault& fault : kQueryFaults) {
    if (lower.find(fault.words) != std::string::npos) return fault.outcome;
  }
  return std::nullopt;
}

std::string_view RemedyFor(int status) {
  if (status >= 300 && status < 400)
    return "; redirects are refused: give the final address as base_url";
  if (status == 401 || status == 403) return "; check api_key_env or api_key_file of this model";
  if (status == 404) return "; check base_url and served_model of this model";
  return "";
}

AttemptVerdict JudgeStatus(const AttemptResult& result, absl::Time now) {
  const int status = result.http_status;
  if (const auto outcome = FaultOfQuery(status, result.error_message))
    return Failure(*outcome, /*may_retry=*/false, "");
  std::string error = absl::StrCat("HTTP ", status, result.error_message.empty() ? "" : ": ",
                                   result.error_message, AbslView(RemedyFor(status)));
  AttemptVerdict verdict =
      Failure(CALL_OUTCOME_REJECTED, IsRetriedStatus(status), std::move(error));
  verdict.retry_after = ParseRetryAfter(result.retry_after, result.retry_after_ms, now);
  const bool is_paced_402 = status == 402 && verdict.retry_after.has_value();
  if (status == 429 || is_paced_402) {
    verdict.outcome = CALL_OUTCOME_RATE_LIMITED;
    verdict.may_retry = true;
  } else if (verdict.may_retry) {
    verdict.outcome = CALL_OUTCOME_UNAVAILABLE;
  } else if (status < 300) {
    verdict.outcome = CALL_OUTCOME_MALFORMED;
  }
  return verdict;
}

}  // namespace

AttemptVerdict JudgeAttempt(const AttemptResult& result, absl::Time now) {
  // What was whole stays whole, however the connection ended after it.
  const bool is_whole =
      result.end == TransportEnd::kWhole || (result.http_status == 200 && result.reply.is_done);
  if (!is_whole) return JudgeTransport(result);
  return result.http_status == 200 ? JudgeReply(result.reply) : JudgeStatus(result, now);
}

std::optional<absl::Duration> ParseRetryAfter(std::string_view retry_after,
                                              std::string_view retry_after_ms, absl::Time now) {
  double number = 0;
  const auto is_pause = [&number] { return std::isfinite(number) && number >= 0; };
  if (absl::SimpleAtod(AbslView(retry_after_ms), &number) && is_pause())
    return absl::Milliseconds(number);
  if (absl::SimpleAtod(AbslView(retry_after), &number)) {
    if (is_pause()) return absl::Seconds(number);
    return std::nullopt;
  }
  absl::Time date;
  std::string ignored;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", AbslView(retry_after), &date, &ignored))
    return std::nullopt;
  return std::max(absl::ZeroDuration(), date - now);
}

absl::Duration JitteredPause(const PoolConfig& config, uint64_t key, int attempts,
                             absl::Duration previous) {
  const double base_s = config.retry_base_s();
  const double most_s = 3 * std::max(base_s, absl::ToDoubleSeconds(previous));
  const double draw = RandomUniform(key, static_cast<uint64_t>(attempts));
  return absl::Seconds(std::min(base_s + draw * (most_s - base_s), config.retry_max_s()));
}

std::optional<absl::Duration> PauseBeforeRetry(const PoolConfig& config,
                                               const AttemptVerdict& verdict, int attempts,
                                               absl::Duration jittered, absl::Duration left) {
  if (!verdict.may_retry || attempts > config.max_retries()) return std::nullopt;
  const absl::Duration pause = verdict.retry_after.value_or(jittered);
  if (pause >= left) return std::nullopt;
  return pause;
}

}  // namespace routewright
