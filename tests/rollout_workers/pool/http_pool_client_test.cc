#include "rollout_workers/pool/http_pool_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/config/config_loader.h"
#include "rollout_workers/pool_emulator/emulator_server.h"
#include "tests/rollout_workers/pool/pool_client_calls.h"
#include "tests/rollout_workers/pool_emulator/small_world.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Then = ScriptedResponse::Then;

TEST_F(HttpPoolClientTest, AReplyComesMeteredAndIsInTheLedger) {
  const PoolCall call = CallOnce([](int, const std::string&) { return Good(); });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK) << call.error();
  EXPECT_EQ(call.reply(), "It is Lima.");
  EXPECT_EQ(call.call_id(), "e/1/2");
  EXPECT_EQ(call.model(), "Sage");
  EXPECT_EQ(call.round(), 2);
  EXPECT_EQ(call.served_model(), "sage-7b");
  EXPECT_EQ(call.input_tokens(), 10);
  EXPECT_EQ(call.output_tokens(), 4);
  EXPECT_EQ(call.cost_picousd(), 10 * 100 + 4 * 1000);
  EXPECT_FALSE(call.is_estimated());
  EXPECT_EQ(call.attempts(), 1);
  EXPECT_EQ(call.http_status(), 200);
  EXPECT_GT(call.latency_ms(), 0);
  ASSERT_EQ(Ledger().size(), 1u);
  EXPECT_EQ(Ledger()[0]["call_id"], "e/1/2");
  EXPECT_EQ(Ledger()[0]["cost_picousd"], "5000");
  EXPECT_EQ(Ledger()[0]["reply"], "It is Lima.");
}

TEST_F(HttpPoolClientTest, TheRequestAsksTheServedModelWithTheConfiguredLimits) {
  config_.set_max_reply_tokens(77);
  std::string sent;
  CallOnce([&sent](int, const std::string& request) {
    sent = request;
    return Good();
  });
  EXPECT_THAT(sent, ::testing::StartsWith("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(sent, Not(HasSubstr("Authorization")));
  const auto body = nlohmann::json::parse(sent.substr(sent.find("\r\n\r\n")));
  EXPECT_EQ(body["model"], "sage-7b");
  EXPECT_EQ(body["max_tokens"], 77);
  EXPECT_EQ(body["messages"][0]["content"], "What is it?");
}

TEST_F(HttpPoolClientTest, APlainJsonAnswerIsReadToo) {
  const PoolCall call = CallOnce([](int, const std::string&) {
    return HttpResponse(200,
                        R"({"choices":[{"message":{"content":"Lima"},"finish_reason":"stop"}],)"
                        R"("usage":{"prompt_tokens":5,"completion_tokens":1}})");
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK);
  EXPECT_EQ(call.reply(), "Lima");
  EXPECT_EQ(call.output_tokens(), 1);
}

TEST_F(HttpPoolClientTest, ATracedCallSaysWhereItsTimeWent) {
  ScriptedServer server(
      [](int place, const std::string&) { return place == 1 ? HttpResponse(503, "{}") : Good(); });
  MakeClient(server.url());
  PoolRequest traced = Request("e/1/0");
  traced.is_traced = true;
  ASSERT_TRUE(client_->Start(traced).ok());
  const PoolCall call = Take(1).at(0);
  std::vector<std::string> names;
  int64_t end = 0;
  for (const TraceSpan& span : call.trace().spans()) {
    names.push_back(span.name());
    EXPECT_GE(span.start_us(), end);
    end = span.start_us() + span.duration_us();
  }
  EXPECT_THAT(
      names, testing::ElementsAre("queued", "attempt 1: HTTP 503", "pause", "attempt 2: HTTP 200"));
  EXPECT_FALSE(Ledger().at(0).contains("trace"));
  ASSERT_TRUE(client_->Start(Request("e/1/1")).ok());
  EXPECT_FALSE(Take(1).at(0).has_trace());
}

TEST_F(HttpPoolClientTest, MissingUsageIsEstimatedWithTheGivenCounter) {
  options_.count_tokens = [](std::string_view text) { return static_cast<int64_t>(text.size()); };
  const PoolCall call = CallOnce([](int, const std::string&) {
    return HttpResponse(200,
                        R"({"choices":[{"message":{"content":"Lima"},"finish_reason":"stop"}]})");
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK);
  EXPECT_TRUE(call.is_estimated());
  EXPECT_EQ(call.input_tokens(), 11);
  EXPECT_EQ(call.output_tokens(), 4);
}

TEST_F(HttpPoolClientTest, LengthAndContentFilterAreRepliesOfTheirOwnKind) {
  const auto finish = [](const std::string& reason) {
    return [reason](int, const std::string&) {
      return HttpResponse(
          200, R"({"choices":[{"message":{"content":"Li"},"finish_reason":")" + reason + "\"}]}");
    };
  };
  const PoolCall truncated = CallOnce(finish("length"));
  EXPECT_EQ(truncated.outcome(), CALL_OUTCOME_TRUNCATED);
  EXPECT_EQ(truncated.reply(), "Li");
  EXPECT_EQ(CallOnce(finish("content_filter")).outcome(), CALL_OUTCOME_REFUSED);
}

TEST_F(HttpPoolClientTest, ProxiesFromTheEnvironmentAreNotUsedForThisMachine) {
  setenv("http_proxy", "http://127.0.0.1:9", 1);
  const PoolCall call = CallOnce([](int, const std::string&) { return Good(); });
  unsetenv("http_proxy");
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK) << call.error();
}

TEST_F(HttpPoolClientTest, TheKeyGoesIntoTheHeaderAndNowhereElse) {
  setenv("RW_TEST_KEY", "sk-hidden-123", 1);
  config_.mutable_models(0)->set_api_key_env("RW_TEST_KEY");
  std::string sent;
  const PoolCall rejected = CallOnce([&sent](int, const std::string& request) {
    sent = request;
    return HttpResponse(401, R"({"error":{"message":"the key sk-hidden-123 is wrong"}})");
  });
  EXPECT_THAT(sent, HasSubstr("Authorization: Bearer sk-hidden-123\r\n"));
  EXPECT_EQ(rejected.outcome(), CALL_OUTCOME_REJECTED);
  EXPECT_THAT(rejected.error(), HasSubstr("the key *** is wrong"));

  const PoolCall echoed = CallOnce([](int, const std::string&) {
    return HttpResponse(
        200, R"({"model":"sk-hidden-123","choices":[{"message":{"content":"sk-hidden-123"}}]})");
  });
  EXPECT_EQ(echoed.reply(), "***");
  EXPECT_EQ(echoed.served_model(), "***");
  EXPECT_THAT(LedgerText(options_.ledger_folder), Not(HasSubstr("hidden")));
}

TEST_F(HttpPoolClientTest, NoMoreThanMaxConcurrencyCallsOfAModelAreUnderWay) {
  constexpr int kCalls = 40, kConcurrency = 5;
  config_.mutable_models(0)->set_max_concurrency(kConcurrency);
  std::atomic<int> under_way = 0, most = 0;
  absl::Mutex mutex;
  bool is_full = false;  // the first requests are answered once all five are there
  ScriptedServer server([&](int place, const std::string&) {
    const int now = ++under_way;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    {
      absl::MutexLock lock(&mutex);
      is_full = is_full || place >= kConcurrency;
      mutex.Await(absl::Condition(&is_full));
    }
    --under_way;
    return Good();
  });
  MakeClient(server.url());
  for (int i = 0; i < kCalls; ++i)
    ASSERT_TRUE(client_->Start(Request(absl::StrCat("e/1/", i))).ok());
  std::set<std::string> ids;
  for (const PoolCall& call : Take(kCalls)) {
    EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK) << call.error();
    ids.insert(call.call_id());
  }
  EXPECT_EQ(ids.size(), size_t{kCalls});
  EXPECT_EQ(most, kConcurrency);
}

TEST_F(HttpPoolClientTest, AModelThatHangsDoesNotHoldUpAnother) {
  ScriptedServer hanging([](int, const std::string&) { return ScriptedResponse{"", Then::kHold}; });
  ScriptedServer good([](int, const std::string&) { return Good(); });
  PoolModelConfig& other = *config_.add_models();
  other.set_name("Atlas");
  other.set_base_url(good.url());
  config_.mutable_models(0)->set_max_concurrency(1);
  MakeClient(hanging.url());
  ASSERT_TRUE(client_->Start(Request("hangs/1/0")).ok());
  ASSERT_TRUE(client_->Start(Request("queued/1/0")).ok());
  ASSERT_TRUE(client_->Start(Request("good/1/0", "Atlas")).ok());
  EXPECT_EQ(Take(1).at(0).call_id(), "good/1/0");

  // Both ways to be cancelled: under way, and before anything was sent.
  hanging.AwaitRequests(1);
  client_->Cancel("queued/1/0");
  client_->Cancel("hangs/1/0");
  client_->Cancel("never started");
  std::map<std::string, PoolCall> cancelled;
  for (const PoolCall& call : Take(2)) cancelled[call.call_id()] = call;
  EXPECT_EQ(cancelled["queued/1/0"].outcome(), CALL_OUTCOME_CANCELLED);
  EXPECT_EQ(cancelled["queued/1/0"].attempts(), 0);
  EXPECT_EQ(cancelled["hangs/1/0"].outcome(), CALL_OUTCOME_CANCELLED);
  EXPECT_EQ(cancelled["hangs/1/0"].attempts(), 1);
  EXPECT_EQ(Ledger().size(), 2u);  // what was never sent cost nothing
}

TEST_F(HttpPoolClientTest, DestroyingTheClientEndsItsCallsAndRecordsThem) {
  ScriptedServer hanging([](int, const std::string&) { return ScriptedResponse{"", Then::kHold}; });
  MakeClient(hanging.url());
  ASSERT_TRUE(client_->Start(Request("e/1/2")).ok());
  hanging.AwaitRequests(1);
  client_.reset();
  ASSERT_EQ(Ledger().size(), 1u);
  EXPECT_EQ(Ledger()[0]["outcome"], "CALL_OUTCOME_CANCELLED");
}

TEST_F(HttpPoolClientTest, WakeEndsAWaitWithoutACall) {
  ScriptedServer server([](int, const std::string&) { return Good(); });
  MakeClient(server.url());
  client_->Wake();
  EXPECT_TRUE(client_->TakeFinished(absl::InfiniteDuration()).empty());
  std::jthread waker([this] { client_->Wake(); });
  EXPECT_TRUE(client_->TakeFinished(absl::InfiniteDuration()).empty());
}

TEST_F(HttpPoolClientTest, StartRefusesWhatItCannotCall) {
  ScriptedServer hanging([](int, const std::string&) { return ScriptedResponse{"", Then::kHold}; });
  MakeClient(hanging.url());
  EXPECT_EQ(client_->Start(Request("e/1/2", "Nobody")).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(client_->Start(Request("e/1/2")).ok());
  EXPECT_EQ(client_->Start(Request("e/1/2")).code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(HttpPoolClientTest, OnceTheBudgetIsSpentNothingIsSent) {
  RunConfig run;
  run.mutable_run()->set_name("run");
  run.mutable_run()->set_output_dir(folder_.path());
  run.mutable_run()->set_budget_usd(0.5);
  options_.ledger_folder = PoolLedgerFolder(run);
  {
    PoolLedger earlier = *PoolLedger::Open(FileSystem::Posix(), options_.ledger_folder);
    PoolCall call;
    call.set_cost_picousd(500'000'000'000);
    ASSERT_TRUE(earlier.Write(call, absl::Now()).ok());
  }
  options_.budget = std::make_shared<PoolBudget>(run);
  ScriptedServer server([](int, const std::string&) { return Good(); });
  MakeClient(server.url());
  ASSERT_TRUE(client_->Start(Request("a")).ok());
  const PoolCall call = Take(1).at(0);
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_UNAVAILABLE);
  EXPECT_THAT(call.error(), HasSubstr("not sent: the run's pool calls have cost $0.5"));
  EXPECT_EQ(server.requests().size(), 0u);
  EXPECT_EQ(client_->status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(client_->Start(Request("b")).ok());
  client_.reset();
}

TEST_F(HttpPoolClientTest, CallsTheEmulatorManyAtOnceAndSurvivesItsFailures) {
  PoolEmulatorConfig emulator_config;
  EmulatedModelConfig& model = *emulator_config.add_models();
  model.set_name("sage-7b");
  (*model.mutable_skill())["default"] = 1.0;
  model.set_failure_rate(0.2);
  const auto emulator =
      EmulatorServer::Listen(emulator_config, *FactsTable::Parse(kSmallWorld, "world"));
  ASSERT_TRUE(emulator.ok()) << emulator.status();
  config_.set_max_retries(20);
  config_.mutable_models(0)->set_max_concurrency(64);
  MakeClient((*emulator)->url());
  constexpr int kCalls = 300;
  for (int i = 0; i < kCalls; ++i) {
    PoolRequest request = Request(absl::StrCat("e/", i));
    request.prompt = absl::StrCat("What is ", i, " + 1?");
    ASSERT_TRUE(client_->Start(request).ok());
  }
  int attempts = 0;
  for (const PoolCall& call : Take(kCalls)) {
    const int i = std::stoi(call.call_id().substr(2));
    EXPECT_EQ(call.reply(), absl::StrCat(i, " + 1 is ", i + 1, "."));
    EXPECT_FALSE(call.is_estimated());
    attempts += call.attempts();
  }
  EXPECT_GT(attempts, kCalls);
  EXPECT_EQ(Ledger().size(), size_t{kCalls});
  client_.reset();
}

}  // namespace
}  // namespace routewright
