#include "rollout_workers/pool_emulator/emulator_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "absl/synchronization/mutex.h"
#include "tests/rollout_workers/pool_emulator/small_world.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

PoolEmulatorConfig Config() {
  PoolEmulatorConfig config;
  for (const char* name : {"wise", "fool"}) {
    EmulatedModelConfig& model = *config.add_models();
    model.set_name(name);
    (*model.mutable_skill())["default"] = std::string(name) == "wise" ? 1.0 : 0.0;
  }
  return config;
}

std::unique_ptr<EmulatorServer> Serve(const PoolEmulatorConfig& config) {
  auto server = EmulatorServer::Listen(config, *FactsTable::Parse(kSmallWorld, "world"));
  EXPECT_TRUE(server.ok()) << server.status();
  return std::move(*server);
}

std::string Body(const std::string& model, const std::string& question, bool is_stream = false) {
  return Json{{"model", model},
              {"messages", {{{"role", "user"}, {"content", question}}}},
              {"stream", is_stream}}
      .dump();
}

httplib::Result Post(const EmulatorServer& server, const std::string& body) {
  httplib::Client client("127.0.0.1", server.port());
  return client.Post("/v1/chat/completions", body, "application/json");
}

std::string Reply(const httplib::Result& result) {
  return Json::parse(result->body)["choices"][0]["message"]["content"];
}

TEST(EmulatorServerTest, AnswersPlainAndStreamed) {
  const auto server = Serve(Config());
  const httplib::Result plain = Post(*server, Body("wise", "What is the capital of Peru?"));
  ASSERT_EQ(plain->status, 200);
  EXPECT_EQ(Reply(plain), "The capital of Peru is Lima.");

  const httplib::Result stream = Post(*server, Body("wise", "What is the capital of Peru?", true));
  ASSERT_EQ(stream->status, 200);
  EXPECT_EQ(stream->get_header_value("Content-Type"), "text/event-stream");
  EXPECT_THAT(stream->body, HasSubstr(R"("delta":{"content":" Lima"})"));
  EXPECT_THAT(stream->body, ::testing::EndsWith("data: [DONE]\n\n"));
}

TEST(EmulatorServerTest, TheSameQuestionGetsTheSameReplyFromEveryServerOfASeed) {
  const std::string body = Body("fool", "What is the capital of Peru?");
  const std::string first = Post(*Serve(Config()), body)->body;
  EXPECT_EQ(first, Post(*Serve(Config()), body)->body);
  EXPECT_THAT(first, ::testing::Not(HasSubstr("Lima")));
}

TEST(EmulatorServerTest, KeepsAConnectionForManyRequests) {
  const auto server = Serve(Config());
  httplib::Client client("127.0.0.1", server->port());
  client.set_keep_alive(true);
  client.set_tcp_nodelay(true);
  for (int i = 0; i < 20; ++i) {
    const auto result =
        client.Post("/v1/chat/completions", Body("wise", "What is 1 + 1?"), "application/json");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->get_header_value("Connection"), "");  // not "close"
    EXPECT_EQ(Reply(result), "1 + 1 is 2.");
  }
}

TEST(EmulatorServerTest, ServesHundredsOfConnectionsAtOnce) {
  constexpr int kClients = 256;
  const auto server = Serve(Config());
  absl::Mutex mutex;
  int num_answered = 0;
  std::vector<std::jthread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      httplib::Client client("127.0.0.1", server->port());
      client.set_keep_alive(true);
      const bool is_answered = bool{client.Get("/health")};
      // Each holds its connection until all have been answered: too few serving threads
      // would never reach the last.
      absl::MutexLock lock(&mutex);
      num_answered += is_answered;
      EXPECT_TRUE(
          mutex.AwaitWithTimeout(absl::Condition(
                                     +[](int* count) { return *count == kClients; }, &num_answered),
                                 absl::Minutes(1)));
    });
  }
}

TEST(EmulatorServerTest, AFailingModelSaysSoAndMaySucceedLater) {
  PoolEmulatorConfig config = Config();
  config.mutable_models(0)->set_failure_rate(0.4);
  config.mutable_models(0)->set_rate_limit_rate(0.3);
  const auto server = Serve(config);
  std::map<int, int> statuses;
  for (int i = 0; i < 60; ++i) {
    const httplib::Result result = Post(*server, Body("wise", "What is the capital of Peru?"));
    ++statuses[result->status];
    if (result->status == 429) {
      EXPECT_NE(result->get_header_value("Retry-After"), "");
    }
  }
  EXPECT_GT(statuses[200], 0);
  EXPECT_GT(statuses[503], 0);
  EXPECT_GT(statuses[429], 0);
}

TEST(EmulatorServerTest, ListsModelsAndHealth) {
  const auto server = Serve(Config());
  httplib::Client client("127.0.0.1", server->port());
  EXPECT_EQ(Json::parse(client.Get("/v1/models")->body)["data"][1]["id"], "fool");
  EXPECT_EQ(client.Get("/health")->status, 200);
  EXPECT_EQ(server->url(), "http://127.0.0.1:" + std::to_string(server->port()) + "/v1");
}

TEST(EmulatorServerTest, BadRequestsGetAnErrorObject) {
  const auto server = Serve(Config());
  const auto error_of = [&](const std::string& body, int status) -> std::string {
    const httplib::Result result = Post(*server, body);
    EXPECT_EQ(result->status, status) << body;
    return Json::parse(result->body)["error"]["message"];
  };
  EXPECT_THAT(error_of("{", 400), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(Body("nobody", "What is 1 + 1?"), 404),
              HasSubstr("\"nobody\" is not served here"));
  httplib::Client client("127.0.0.1", server->port());
  EXPECT_EQ(client.Get("/v2")->status, 404);
  EXPECT_TRUE(Json::parse(client.Get("/v2")->body).contains("error"));
}

TEST(EmulatorServerTest, APortInUseIsAnErrorThatNamesIt) {
  const auto first = Serve(Config());
  PoolEmulatorConfig config = Config();
  config.set_port(first->port());
  const auto second = EmulatorServer::Listen(config, *FactsTable::Parse(kSmallWorld, "world"));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(first->port())));
}

TEST(EmulatorServerTest, ABadConfigIsRefused) {
  const auto error_of = [](const PoolEmulatorConfig& config) {
    return std::string(EmulatorServer::Listen(config, *FactsTable::Parse(kSmallWorld, "world"))
                           .status()
                           .message());
  };
  EXPECT_THAT(error_of(PoolEmulatorConfig()), HasSubstr("models is empty"));
  PoolEmulatorConfig config = Config();
  config.mutable_models(1)->set_name("wise");
  EXPECT_THAT(error_of(config), HasSubstr("\"wise\" is there twice"));
  config = Config();
  (*config.mutable_models(0)->mutable_skill())["capital"] = 1.5;
  EXPECT_THAT(error_of(config), HasSubstr("skill.capital is 1.5"));
  config = Config();
  config.mutable_models(0)->set_failure_rate(0.6);
  config.mutable_models(0)->set_rate_limit_rate(0.6);
  EXPECT_THAT(error_of(config), HasSubstr("more than 1"));
}

}  // namespace
}  // namespace routewright
