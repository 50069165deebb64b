#include "rollout_workers/pool_emulator/openai_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

constexpr char kRequest[] = R"({
  "model": "m",
  "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "old"},
               {"role": "assistant", "content": "x"},
               {"role": "user", "content": [{"type": "text", "text": "one two"}]}],
  "max_tokens": 3, "temperature": 0, "stream": true, "stream_options": {"include_usage": true}})";

std::string RequestError(const std::string& body) {
  const auto request = ParseChatRequest(body);
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << body;
  return std::string(request.status().message());
}

// A valid request with one member changed or added.
std::string With(const std::string& name, const std::string& value) {
  nlohmann::json body = nlohmann::json::parse(kRequest);
  body[name] = nlohmann::json::parse(value);
  return body.dump();
}

TEST(OpenAiProtocolTest, ReadsARequest) {
  const auto request = ParseChatRequest(kRequest);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->last_user_message, "one two");
  EXPECT_EQ(request->max_tokens, 3);
  EXPECT_TRUE(request->is_stream);
  EXPECT_TRUE(request->include_usage);
  EXPECT_EQ(request->prompt_tokens, (3 + 4) + (1 + 4) + (1 + 4) + (2 + 4));
}

TEST(OpenAiProtocolTest, ABadRequestIsToldWhichFieldIsWrong) {
  EXPECT_THAT(RequestError("{"), HasSubstr("not a JSON object"));
  EXPECT_THAT(RequestError("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(RequestError("{}"), HasSubstr("\"model\""));
  EXPECT_THAT(RequestError(With("model", "7")), HasSubstr("\"model\""));
  EXPECT_THAT(RequestError(With("messages", "[]")), HasSubstr("\"messages\""));
  EXPECT_THAT(RequestError(With("messages", "[3]")), HasSubstr("\"messages[]\""));
  EXPECT_THAT(RequestError(With("messages", R"([{"role":"user"}])")), HasSubstr("content"));
  EXPECT_THAT(
      RequestError(With("messages", R"([{"role":"user","content":[{"type":"image_url"}]}])")),
      HasSubstr("other kinds are not served"));
  EXPECT_THAT(RequestError(With("messages", R"([{"role":"system","content":"x"}])")),
              HasSubstr("user message"));
  EXPECT_THAT(RequestError(With("max_tokens", "0")), HasSubstr("\"max_tokens\""));
  EXPECT_THAT(RequestError(With("max_tokens", "1.5")), HasSubstr("\"max_tokens\""));
  EXPECT_THAT(RequestError(With("n", "2")), HasSubstr("\"n\""));
  EXPECT_THAT(RequestError(With("stream", "\"yes\"")), HasSubstr("\"stream\""));
  EXPECT_THAT(RequestError(With("stream", "false")), HasSubstr("\"stream_options\""));
}

TEST(OpenAiProtocolTest, ACompletionCarriesTextAndUsage) {
  ChatRequest request;
  request.model = "m";
  request.prompt_tokens = 11;
  const ChatCompletion completion = MakeCompletion(request, "id-1", "It is Lima.");
  const auto json = nlohmann::json::parse(CompletionJson(completion));
  EXPECT_EQ(json["choices"][0]["message"]["content"], "It is Lima.");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 11);
  EXPECT_EQ(json["usage"]["completion_tokens"], 4);
  EXPECT_EQ(json["usage"]["total_tokens"], 15);
  EXPECT_EQ(json["model"], "m");
}

TEST(OpenAiProtocolTest, AReplyEndsAtMaxTokens) {
  ChatRequest request;
  request.max_tokens = 2;
  const ChatCompletion cut = MakeCompletion(request, "id", "It is Lima.");
  EXPECT_EQ(cut.finish_reason, "length");
  EXPECT_EQ(cut.completion_tokens, 2);
  request.max_tokens = 4;
  EXPECT_EQ(MakeCompletion(request, "id", "It is Lima.").finish_reason, "stop");
}

TEST(OpenAiProtocolTest, AStreamsDeltasJoinToTheReplyAndEndWithUsageAndDone) {
  const ChatCompletion completion = MakeCompletion(ChatRequest(), "id", "It is Lima.");
  const std::vector<std::string> events = CompletionEvents(completion, /*include_usage=*/true);
  std::string text, finish_reason;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    ASSERT_TRUE(absl::StartsWith(events[i], "data: {") && absl::EndsWith(events[i], "}\n\n"))
        << events[i];
    const auto choice = nlohmann::json::parse(events[i].substr(6))["choices"][0];
    if (choice["delta"].contains("content")) text += choice["delta"]["content"];
    if (choice["finish_reason"].is_string()) finish_reason = choice["finish_reason"];
  }
  EXPECT_EQ(text, "It is Lima.");
  EXPECT_EQ(finish_reason, "stop");
  EXPECT_EQ(
      nlohmann::json::parse(events[events.size() - 2].substr(6))["usage"]["completion_tokens"], 4);
  EXPECT_EQ(events.back(), "data: [DONE]\n\n");
  EXPECT_EQ(CompletionEvents(completion, /*include_usage=*/false).size(), events.size() - 1);
}

TEST(OpenAiProtocolTest, ErrorsAndModelsHaveOpenAisForm) {
  const auto error = nlohmann::json::parse(
      ErrorJson("no \xff such model", "invalid_request_error", "model_not_found"));
  EXPECT_EQ(error["error"]["code"], "model_not_found");
  EXPECT_EQ(error["error"]["type"], "invalid_request_error");
  const auto models = nlohmann::json::parse(ModelsJson({"a", "b"}));
  EXPECT_EQ(models["data"][1]["id"], "b");
  EXPECT_EQ(models["object"], "list");
}

}  // namespace
}  // namespace routewright
