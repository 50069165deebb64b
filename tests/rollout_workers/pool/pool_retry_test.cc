#include "rollout_workers/pool/pool_retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);  // Thu, 01 Jan 2026 00:00:00 GMT

AttemptResult Status(int status, const std::string& message = "") {
  AttemptResult result;
  result.http_status = status;
  result.error_message = message;
  return result;
}

AttemptResult Reply() {
  AttemptResult result = Status(200);
  result.reply.text = "It is Lima.";
  result.reply.is_complete = true;
  return result;
}

AttemptResult Broken(TransportEnd end, int status = 0) {
  AttemptResult result = Status(status);
  result.end = end;
  result.transport_error = "the reason";
  return result;
}

TEST(PoolRetryTest, WholeRepliesAreDelivered) {
  EXPECT_EQ(JudgeAttempt(Reply(), kNow).outcome, CALL_OUTCOME_OK);
  AttemptResult cut = Reply();
  cut.reply.is_truncated = true;
  EXPECT_EQ(JudgeAttempt(cut, kNow).outcome, CALL_OUTCOME_TRUNCATED);
  AttemptResult refusal = Reply();
  refusal.reply.is_refusal = true;
  EXPECT_EQ(JudgeAttempt(refusal, kNow).outcome, CALL_OUTCOME_REFUSED);
}

TEST(PoolRetryTest, WhatIsPermanentFailsAtOnce) {
  for (const int status : {301, 302, 307, 400, 401, 402, 403, 404, 422}) {
    const AttemptVerdict verdict = JudgeAttempt(Status(status), kNow);
    EXPECT_EQ(verdict.outcome, CALL_OUTCOME_REJECTED) << status;
    EXPECT_FALSE(verdict.may_retry) << status;
    EXPECT_THAT(verdict.error, HasSubstr(absl::StrCat("HTTP ", status)));
  }
  EXPECT_THAT(JudgeAttempt(Status(401, "bad key"), kNow).error,
              HasSubstr("bad key; check api_key_env"));
  EXPECT_THAT(JudgeAttempt(Status(302), kNow).error, HasSubstr("redirects are refused"));
  EXPECT_EQ(JudgeAttempt(Broken(TransportEnd::kNotAllowed), kNow).outcome, CALL_OUTCOME_REJECTED);
}

// Another attempt of the episode would write the same query, and pay for its other calls again.
TEST(PoolRetryTest, AQueryThatTheServerBlamesIsAnAnswerToThePolicy) {
  const std::pair<AttemptResult, CallOutcome> cases[] = {
      {Status(400,
              "This model's maximum context length is 8192 tokens. However, you requested 9000"),
       CALL_OUTCOME_TOO_LONG},
      {Status(400, "prompt is too long: 210000 tokens > 200000 maximum"), CALL_OUTCOME_TOO_LONG},
      {Status(500, "the request exceeds the available context size"), CALL_OUTCOME_TOO_LONG},
      {Status(422, "Input is too long for requested model."), CALL_OUTCOME_TOO_LONG},
      {Status(413), CALL_OUTCOME_TOO_LONG},
      {Status(400,
              "The response was filtered due to the prompt triggering Azure OpenAI's content "
              "management policy"),
       CALL_OUTCOME_REFUSED},
  };
  for (const auto& [result, outcome] : cases) {
    const AttemptVerdict verdict = JudgeAttempt(result, kNow);
    EXPECT_EQ(verdict.outcome, outcome) << result.error_message;
    EXPECT_FALSE(verdict.may_retry) << result.error_message;
  }
  EXPECT_EQ(JudgeAttempt(Status(400, "unknown parameter"), kNow).outcome, CALL_OUTCOME_REJECTED);
  EXPECT_EQ(JudgeAttempt(Status(401, "context length"), kNow).outcome, CALL_OUTCOME_REJECTED);
}

TEST(PoolRetryTest, WhatMayPassIsRetried) {
  for (const int status : {408, 409, 425, 500, 502, 503, 504, 529}) {
    const AttemptVerdict verdict = JudgeAttempt(Status(status), kNow);
    EXPECT_EQ(verdict.outcome, CALL_OUTCOME_UNAVAILABLE) << status;
    EXPECT_TRUE(verdict.may_retry) << status;
  }
  EXPECT_EQ(JudgeAttempt(Status(429), kNow).outcome, CALL_OUTCOME_RATE_LIMITED);
  EXPECT_TRUE(JudgeAttempt(Status(429), kNow).may_retry);
  for (const TransportEnd end :
       {TransportEnd::kUnreachable, TransportEnd::kBroken, TransportEnd::kTimedOut}) {
    const AttemptVerdict verdict = JudgeAttempt(Broken(end), kNow);
    EXPECT_TRUE(verdict.may_retry);
    EXPECT_EQ(verdict.outcome,
              end == TransportEnd::kTimedOut ? CALL_OUTCOME_TIMED_OUT : CALL_OUTCOME_UNAVAILABLE);
    EXPECT_THAT(verdict.error, HasSubstr("the reason"));
  }
}

TEST(PoolRetryTest, A402IsRetriedOnlyIfItSaysWhen) {
  AttemptResult result = Status(402);
  EXPECT_FALSE(JudgeAttempt(result, kNow).may_retry);
  result.retry_after = "3";
  EXPECT_TRUE(JudgeAttempt(result, kNow).may_retry);
  EXPECT_EQ(JudgeAttempt(result, kNow).outcome, CALL_OUTCOME_RATE_LIMITED);
}

TEST(PoolRetryTest, A200ThatIsNoCompletionIsMalformedAndNotPaidForAgain) {
  AttemptResult result = Status(200);
  result.reply.fault = "the response has no choice with a message";
  EXPECT_EQ(JudgeAttempt(result, kNow).outcome, CALL_OUTCOME_MALFORMED);
  EXPECT_FALSE(JudgeAttempt(result, kNow).may_retry);
  EXPECT_EQ(JudgeAttempt(Broken(TransportEnd::kTooLarge, 200), kNow).outcome,
            CALL_OUTCOME_MALFORMED);
  EXPECT_FALSE(JudgeAttempt(Broken(TransportEnd::kTooLarge, 200), kNow).may_retry);
  EXPECT_EQ(JudgeAttempt(Status(204), kNow).outcome, CALL_OUTCOME_MALFORMED);
}

TEST(PoolRetryTest, AStreamThatEndsEarlyIsRetriedAndOneThatIsDoneStands) {
  AttemptResult cut = Reply();
  cut.reply.is_complete = false;
  EXPECT_EQ(JudgeAttempt(cut, kNow).outcome, CALL_OUTCOME_UNAVAILABLE);
  EXPECT_TRUE(JudgeAttempt(cut, kNow).may_retry);

  AttemptResult done = Reply();
  done.end = TransportEnd::kTimedOut;
  EXPECT_EQ(JudgeAttempt(done, kNow).outcome, CALL_OUTCOME_TIMED_OUT);
  done.reply.is_done = true;
  EXPECT_EQ(JudgeAttempt(done, kNow).outcome, CALL_OUTCOME_OK);
}

TEST(PoolRetryTest, ReadsRetryAfterInSecondsMillisecondsAndDates) {
  EXPECT_EQ(ParseRetryAfter("3", "", kNow), absl::Seconds(3));
  EXPECT_EQ(ParseRetryAfter("0.5", "", kNow), absl::Milliseconds(500));
  EXPECT_EQ(ParseRetryAfter("3", "250", kNow), absl::Milliseconds(250));
  EXPECT_EQ(ParseRetryAfter("Thu, 01 Jan 2026 00:00:07 GMT", "", kNow), absl::Seconds(7));
  EXPECT_EQ(ParseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", "", kNow), absl::ZeroDuration());
  for (const char* unreadable : {"", "soon", "-1", "nan", "inf", "2026-01-01"}) {
    EXPECT_EQ(ParseRetryAfter(unreadable, "", kNow), std::nullopt) << unreadable;
  }
}

TEST(PoolRetryTest, JitterStaysBetweenTheBaseAndThreeTimesTheLastPauseAndRepeats) {
  PoolConfig config;
  config.set_retry_base_s(0.5);
  config.set_retry_max_s(20);
  for (uint64_t key = 0; key < 200; ++key) {
    absl::Duration previous = absl::ZeroDuration();
    for (int attempt = 1; attempt < 8; ++attempt) {
      const absl::Duration pause = JitteredPause(config, key, attempt, previous);
      EXPECT_GE(pause, absl::Milliseconds(500));
      EXPECT_LE(pause,
                std::min(absl::Seconds(20), 3 * std::max(previous, absl::Milliseconds(500))));
      EXPECT_EQ(pause, JitteredPause(config, key, attempt, previous));
      previous = pause;
    }
  }
}

TEST(PoolRetryTest, GivesUpAfterMaxRetriesOrWhenThePauseWouldPassTheDeadline) {
  PoolConfig config;
  config.set_max_retries(2);
  AttemptVerdict verdict;
  verdict.may_retry = true;
  const absl::Duration jittered = absl::Seconds(1), left = absl::Seconds(10);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 1, jittered, left), jittered);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 2, jittered, left), jittered);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 3, jittered, left), std::nullopt);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 1, jittered, absl::Seconds(1)), std::nullopt);

  verdict.retry_after = absl::Seconds(5);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 1, jittered, left), absl::Seconds(5));
  verdict.retry_after = absl::Hours(1);
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 1, jittered, left), std::nullopt);
  verdict.may_retry = false;
  EXPECT_EQ(PauseBeforeRetry(config, verdict, 1, jittered, left), std::nullopt);
}

}  // namespace
}  // namespace routewright
