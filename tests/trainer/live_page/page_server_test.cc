#include "trainer/live_page/page_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "tests/common/temp_folder.h"
#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "0123456789abcdef-token";

class PageServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<PageServer> Start(const std::string& token = "",
                                    const std::string& address = "127.0.0.1:0") {
    auto server = PageServer::Start({.listen_address = address, .token = Secret(token)}, &state_);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  static httplib::Client ClientOf(const PageServer& server) {
    return httplib::Client("127.0.0.1", server.port());
  }

  const std::unique_ptr<Tokenizer> tokenizer_ = MadeUpTokenizer();
  LiveState state_{MadeUpConfig("out"), {{"host", "here"}}, tokenizer_.get()};
};

TEST_F(PageServerTest, ServesItsFilesAndDataWithHeadersThatGuardThem) {
  const auto server = Start();
  EXPECT_EQ(server->url(), absl::StrCat("http://127.0.0.1:", server->port(), "/"));
  httplib::Client client = ClientOf(*server);
  for (const char* path :
       {"/", "/page.css", "/page.js", "/plot.js", "/run_plots.js", "/curve_store.js", "/tables.js",
        "/chart.js", "/format.js", "/trajectories.js", "/api/run", "/api/status",
        "/api/curves?since=-1", "/api/workers?limit=5&sort=lag", "/api/trajectories", "/nothing"}) {
    const auto answer = client.Get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, std::string(path) == "/nothing" ? 404 : 200) << path;
    EXPECT_THAT(answer->get_header_value("Content-Security-Policy"),
                HasSubstr("default-src 'none'; script-src 'self'"));
    EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer->get_header_value("Cache-Control"), "no-store");
  }
  EXPECT_THAT(client.Get("/")->body, Not(HasSubstr("://"))) << "nothing comes from outside";
  EXPECT_EQ(client.Head("/api/status")->status, 200);
}

TEST_F(PageServerTest, NothingButReadingIsAllowed) {
  const auto server = Start();
  httplib::Client client = ClientOf(*server);
  for (const char* path : {"/", "/api/status"}) {
    for (const auto& answer : {client.Post(path, "{}", "application/json"), client.Delete(path),
                               client.Put(path, "x", "text/plain"), client.Options(path),
                               client.Patch(path, "x", "text/plain")}) {
      ASSERT_TRUE(answer) << path;
      EXPECT_EQ(answer->status, 405);
      EXPECT_EQ(answer->get_header_value("Allow"), "GET, HEAD");
    }
  }
}

TEST_F(PageServerTest, AForeignHostIsRefused) {
  const auto server = Start();
  httplib::Client client = ClientOf(*server);
  EXPECT_EQ(client.Get("/api/run", {{"Host", "evil.example"}})->status, 421);
  EXPECT_EQ(client.Get("/", {{"Host", "evil.example:80"}})->status, 421);
  EXPECT_EQ(client.Get("/api/run", {{"Host", "localhost:9999"}})->status, 200) << "a tunnel";
}

TEST_F(PageServerTest, DataNeedTheTokenAndFilesDoNot) {
  const auto server = Start(kToken);
  httplib::Client client = ClientOf(*server);
  EXPECT_EQ(client.Get("/")->status, 200);
  for (const char* path : {"/api/run", "/api/status", "/api/curves", "/api/workers",
                           "/api/trajectories", "/api/trajectory?id=x", "/api/nothing"}) {
    EXPECT_EQ(client.Get(path)->status, 401) << path;
    EXPECT_EQ(client.Get(path, {{"Authorization", "Bearer wrong"}})->status, 401) << path;
    EXPECT_THAT(client.Get(path)->body, Not(HasSubstr(kToken)));
  }
  EXPECT_EQ(client.Get("//api/run")->status, 404);
  EXPECT_EQ(client.Get("/api/run?token=" + std::string(kToken))->status, 401)
      << "an address ends up in logs";
  const httplib::Headers right = {{"Authorization", std::string("Bearer ") + kToken}};
  EXPECT_EQ(client.Get("/api/run", right)->status, 200);
  EXPECT_EQ(client.Get("/api/trajectory?id=x", right)->status, 404);
}

TEST_F(PageServerTest, OddQueriesDoNoHarm) {
  const auto server = Start();
  httplib::Client client = ClientOf(*server);
  for (const char* path :
       {"/api/curves?since=99999999999999999999&generation=x", "/api/curves?since=-5",
        "/api/workers?limit=-1", "/api/workers?limit=4611686018427387904&sort=%00%ff",
        "/api/curves?since=9223372036854775807&generation=0"}) {
    EXPECT_EQ(client.Get(path)->status, 200) << path;
  }
  for (const char* path : {"/../../etc/passwd", "/%2e%2e/", "/api/trajectory?id=%2e%2e/x"}) {
    EXPECT_EQ(client.Get(path)->status, 404) << path;
  }
}

TEST_F(PageServerTest, APortThatIsTakenIsRefusedByName) {
  const auto first = Start();
  const auto second =
      PageServer::Start({.listen_address = absl::StrCat("127.0.0.1:", first->port())}, &state_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("127.0.0.1:", first->port())));
}

TEST_F(PageServerTest, ThePreferredPortIsTakenIfItIsFree) {
  int port = 0;
  {
    const auto first = Start();
    port = first->port();
    const auto beside =
        PageServer::Start({.listen_address = "127.0.0.1:0", .preferred_port = port}, &state_);
    ASSERT_TRUE(beside.ok());
    EXPECT_NE((*beside)->port(), port);
  }
  const auto again =
      PageServer::Start({.listen_address = "127.0.0.1:0", .preferred_port = port}, &state_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->port(), port);
}

TEST_F(PageServerTest, BadAddressesAndGuessableTokensAreRefused) {
  EXPECT_EQ(PageServer::Start({.listen_address = "nowhere"}, &state_).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PageServer::Start({.listen_address = "127.0.0.1:0", .token = Secret("1234")}, &state_)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace routewright
