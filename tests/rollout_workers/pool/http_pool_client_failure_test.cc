// Servers, networks and disks that fail a call: what becomes of it, and what it costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/file_system.h"
#include "tests/rollout_workers/pool/pool_client_calls.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using Then = ScriptedResponse::Then;

// A ledger on a disk that is full.
class FullDisk final : public FileSystem {
 public:
  class File final : public WritableFile {
   public:
    absl::Status Append(std::string_view) override {
      return absl::ResourceExhaustedError("no space left");
    }
    absl::Status Sync() override { return absl::OkStatus(); }
    absl::Status Close() override { return absl::OkStatus(); }
  };
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string&) override {
    return std::make_unique<File>();
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(const std::string&) override {
    return Unused();
  }
  absl::StatusOr<std::string> Read(const std::string&) override { return Unused(); }
  absl::Status Rename(const std::string&, const std::string&) override { return Unused(); }
  absl::Status SyncFolder(const std::string&) override { return Unused(); }
  absl::Status CreateFolders(const std::string&) override { return absl::OkStatus(); }
  absl::Status RemoveAll(const std::string&) override { return Unused(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string&) override { return Unused(); }
  bool Exists(const std::string&) override { return false; }

 private:
  static absl::Status Unused() { return absl::UnimplementedError("not used here"); }
};

class HttpPoolClientFailureTest : public HttpPoolClientTest {};

TEST_F(HttpPoolClientFailureTest, RateLimitsAndOutagesThatPassAreRetried) {
  const PoolCall call = CallOnce([](int place, const std::string&) {
    if (place == 1) return HttpResponse(429, "{}", "Retry-After: 0\r\n");
    if (place == 2) return HttpResponse(503, "{}");
    if (place == 3) return HttpResponse(429, "{}", "retry-after-ms: 1\r\n");
    return Good();
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK) << call.error();
  EXPECT_EQ(call.attempts(), 4);
  EXPECT_EQ(call.cost_picousd(), 5000);
  EXPECT_EQ(Ledger().size(), 1u);
}

TEST_F(HttpPoolClientFailureTest, AnOutageThatLastsEndsAfterMaxRetries) {
  config_.set_max_retries(3);
  const PoolCall call = CallOnce([](int, const std::string&) {
    return HttpResponse(500, R"({"error":{"message":"out of memory"}})");
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_UNAVAILABLE);
  EXPECT_EQ(call.attempts(), 4);
  EXPECT_EQ(num_requests_, 4u);
  EXPECT_EQ(call.http_status(), 500);
  EXPECT_EQ(call.cost_picousd(), 0);
  EXPECT_THAT(call.error(), HasSubstr("pool model Sage at http://127.0.0.1:"));
  EXPECT_THAT(call.error(), HasSubstr("HTTP 500: out of memory (4 attempts)"));
}

TEST_F(HttpPoolClientFailureTest, ARetryAfterBeyondTheDeadlineEndsTheCallAtOnce) {
  const PoolCall call = CallOnce(
      [](int, const std::string&) { return HttpResponse(429, "{}", "Retry-After: 86400\r\n"); });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_RATE_LIMITED);
  EXPECT_EQ(call.attempts(), 1);
}

TEST_F(HttpPoolClientFailureTest, WhatIsRejectedIsNotTriedAgain) {
  for (const int status : {400, 401, 403, 404, 422}) {
    const PoolCall call =
        CallOnce([status](int, const std::string&) { return HttpResponse(status, "{}"); });
    EXPECT_EQ(call.outcome(), CALL_OUTCOME_REJECTED) << status;
    EXPECT_EQ(num_requests_, 1u);
    EXPECT_EQ(call.http_status(), status);
  }
}

TEST_F(HttpPoolClientFailureTest, AServerThatNeverAnswersEndsAtTheDeadlines) {
  config_.set_call_timeout_s(0.05);
  config_.set_max_retries(1);
  const PoolCall call = CallOnce([](int, const std::string&) {
    return ScriptedResponse{"", Then::kHold};
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_TIMED_OUT);
  EXPECT_EQ(call.attempts(), 2);
  EXPECT_EQ(call.cost_picousd(), 0);
}

TEST_F(HttpPoolClientFailureTest, TheTotalDeadlineCutsAttemptsShort) {
  config_.set_total_timeout_s(0.05);
  const PoolCall call = CallOnce([](int, const std::string&) {
    return ScriptedResponse{"", Then::kHold};
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_TIMED_OUT);
  EXPECT_EQ(call.attempts(), 1);
}

TEST_F(HttpPoolClientFailureTest, ATricklingServerEndsAtTheDeadlineAndWhatCameIsPaidFor) {
  config_.set_call_timeout_s(0.1);
  config_.set_max_retries(0);
  const PoolCall call = CallOnce([](int, const std::string&) {
    ScriptedResponse response =
        EventStream("data: {\"choices\":[{\"delta\":{\"content\":\"It is \"}}]}\n\n");
    response.then = Then::kTrickle;
    return response;
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_TIMED_OUT);
  EXPECT_EQ(call.reply(), "");
  EXPECT_TRUE(call.is_estimated());
  EXPECT_EQ(call.output_tokens(), 2);
  EXPECT_GT(call.cost_picousd(), 0);
}

TEST_F(HttpPoolClientFailureTest, AReplyCutInTheMiddleIsAskedForAgainAndBothAreCounted) {
  const PoolCall call = CallOnce([](int place, const std::string&) {
    ScriptedResponse response = Good();
    if (place == 1) response.bytes.resize(response.bytes.find("Lima"));
    if (place == 2) response = HttpResponse(200, kStreamed, "", "text/event-stream");
    if (place == 2) response.bytes.resize(response.bytes.find("Lima"));  // less than Content-Length
    return response;
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_OK) << call.error();
  EXPECT_EQ(call.attempts(), 3);
  EXPECT_EQ(call.reply(), "It is Lima.");
  EXPECT_TRUE(call.is_estimated());
  EXPECT_EQ(call.output_tokens(), 4 + 2 * 2);
}

TEST_F(HttpPoolClientFailureTest, A200ThatIsNoCompletionIsMalformed) {
  for (const char* body :
       {"", "{\"choices\":[{\"mess", "<html>login</html>", "{}", R"({"choices":[]})",
        R"({"choices":[{"message":{"content":null},"finish_reason":"stop"}]})",
        R"({"error":{"message":"the model is loading"}})"}) {
    const PoolCall call =
        CallOnce([body](int, const std::string&) { return HttpResponse(200, body); });
    EXPECT_EQ(call.outcome(), CALL_OUTCOME_MALFORMED) << body;
    EXPECT_EQ(num_requests_, 1u) << body;
    EXPECT_EQ(call.reply(), "");
    EXPECT_EQ(call.cost_picousd(), 0);
  }
}

TEST_F(HttpPoolClientFailureTest, AServerThatSpeaksNoHttpIsRejected) {
  const PoolCall call =
      CallOnce([](int, const std::string&) { return ScriptedResponse{"SSH-2.0-x\r\n"}; });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_REJECTED);
}

TEST_F(HttpPoolClientFailureTest, AReplyOfTenMegabytesIsCutOff) {
  const PoolCall call = CallOnce([](int, const std::string&) {
    return HttpResponse(
        200, R"({"choices":[{"message":{"content":")" + std::string(10 << 20, 'x') + "\"}}]}");
  });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_MALFORMED);
  EXPECT_THAT(call.error(), HasSubstr("larger than the limit"));
}

TEST_F(HttpPoolClientFailureTest, RedirectsAreNotFollowed) {
  ScriptedServer elsewhere([](int, const std::string&) { return Good(); });
  const std::string location = "Location: " + elsewhere.url() + "/chat/completions\r\n";
  const PoolCall call =
      CallOnce([&](int, const std::string&) { return HttpResponse(307, "", location); });
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_REJECTED);
  EXPECT_THAT(call.error(), HasSubstr("redirects are refused"));
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST_F(HttpPoolClientFailureTest, APortWithoutAServerIsAnOutageThatNamesIt) {
  config_.set_max_retries(1);
  std::string url;
  {
    const ScriptedServer gone([](int, const std::string&) { return Good(); });
    url = gone.url();
  }
  MakeClient(url);
  ASSERT_TRUE(client_->Start(Request("e/1/2")).ok());
  const PoolCall call = Take(1).at(0);
  EXPECT_EQ(call.outcome(), CALL_OUTCOME_UNAVAILABLE);
  EXPECT_EQ(call.attempts(), 2);
  EXPECT_THAT(call.error(), HasSubstr(url));
}

TEST_F(HttpPoolClientFailureTest, WithoutALedgerNoReplyIsUsedAndNothingMoreIsSpent) {
  FullDisk full;
  options_.files = &full;
  config_.mutable_models(0)->set_max_concurrency(1);
  ScriptedServer server([](int, const std::string&) { return Good(); });
  MakeClient(server.url());
  EXPECT_TRUE(client_->status().ok());
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(client_->Start(Request(id)).ok());
  for (const PoolCall& call : Take(3)) {
    EXPECT_EQ(call.outcome(), CALL_OUTCOME_UNAVAILABLE);
    EXPECT_EQ(call.reply(), "");
    EXPECT_THAT(call.error(), HasSubstr("no space left"));
  }
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(client_->status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(client_->Start(Request("d")).ok());
  client_.reset();
}

TEST_F(HttpPoolClientFailureTest, ABadConfigIsRefusedBeforeAnythingIsPaidFor) {
  EXPECT_EQ(MakeHttpPoolClient(config_, options_).status().code(),
            absl::StatusCode::kInvalidArgument);  // no base_url
  config_.mutable_models(0)->set_base_url("http://127.0.0.1:1/v1");
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), folder_ / "file", "").ok());
  options_.ledger_folder = folder_ / "file/ledger";
  EXPECT_THAT(std::string(MakeHttpPoolClient(config_, options_).status().message()),
              HasSubstr("cannot make folder"));
  *config_.add_models() = config_.models(0);
  EXPECT_THAT(std::string(MakeHttpPoolClient(config_, options_).status().message()),
              HasSubstr("twice"));
}

}  // namespace
}  // namespace routewright
