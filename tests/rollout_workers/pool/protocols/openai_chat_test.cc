#include "rollout_workers/pool/protocols/openai_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace routewright {
namespace {

using ::testing::HasSubstr;

constexpr char kStream[] = "text/event-stream; charset=utf-8";

PoolReply Read(const std::string& content_type, const std::string& body,
               size_t piece_bytes = 1 << 30) {
  const std::unique_ptr<PoolReplyReader> reader = OpenAiChat().NewReader(content_type);
  for (size_t start = 0; start < body.size(); start += piece_bytes) {
    reader->Feed(std::string_view(body).substr(start, std::min(piece_bytes, body.size() - start)));
  }
  return reader->Finish();
}
PoolReply ReadJson(const std::string& body) { return Read("application/json", body); }

std::string Delta(const std::string& content, const std::string& finish = "null") {
  return R"(data: {"model":"m-1","choices":[{"delta":{"content":")" + content +
         R"("},"finish_reason":)" + finish + "}]}\n\n";
}
constexpr char kUsage[] = R"(data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,)"
                          R"("prompt_tokens_details":{"cached_tokens":4}}})"
                          "\n\n";
constexpr char kDone[] = "data: [DONE]\n\n";

std::string Document(const std::string& message, const std::string& finish = "\"stop\"") {
  return R"({"model":"m-1","choices":[{"message":)" + message + R"(,"finish_reason":)" + finish +
         "}]}";
}

TEST(OpenAiChatTest, ARequestAsksForAStreamWithUsage) {
  const auto body = nlohmann::json::parse(OpenAiChat().RequestBody(
      {.served_model = "m", .prompt = "Say \"hi\"\n", .max_tokens = 64, .temperature = 0.5}));
  EXPECT_EQ(body["model"], "m");
  EXPECT_EQ(body["messages"].size(), 1u);
  EXPECT_EQ(body["messages"][0]["role"], "user");
  EXPECT_EQ(body["messages"][0]["content"], "Say \"hi\"\n");
  EXPECT_EQ(body["max_tokens"], 64);
  EXPECT_EQ(body["temperature"], 0.5);
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
}

TEST(OpenAiChatTest, AsksAtItsPathAndShowsTheKeyAsABearer) {
  EXPECT_EQ(OpenAiChat().Path(), "/chat/completions");
  const std::vector<HttpHeader> headers = OpenAiChat().Headers(Secret("sk-1"));
  ASSERT_EQ(headers.size(), 1);
  EXPECT_EQ(headers[0].name, "Authorization");
  EXPECT_EQ(headers[0].value, "Bearer sk-1");
  EXPECT_TRUE(OpenAiChat().Headers(Secret()).empty());
}

TEST(OpenAiChatTest, APromptOfAnyBytesBecomesValidJson) {
  std::string prompt;
  for (int byte = 0; byte < 256; ++byte) prompt += static_cast<char>(byte);
  EXPECT_TRUE(nlohmann::json::accept(
      OpenAiChat().RequestBody({.served_model = "m", .prompt = prompt, .max_tokens = 1})));
}

TEST(OpenAiChatTest, ReadsAStreamHoweverItIsCut) {
  const std::string body = ": a comment\n\nevent: x\n" + Delta("") + Delta("It is ") +
                           Delta("Lïma.", "\"stop\"") + kUsage + kDone;
  for (const size_t piece_bytes : {1, 2, 3, 7, 1000}) {
    const PoolReply reply = Read(kStream, body, piece_bytes);
    EXPECT_EQ(reply.text, "It is Lïma.");
    EXPECT_EQ(reply.served_model, "m-1");
    EXPECT_FALSE(reply.is_truncated || reply.is_refusal);
    EXPECT_TRUE(reply.is_complete && reply.is_done);
    EXPECT_EQ(reply.fault, "");
    ASSERT_TRUE(reply.usage.has_value());
    EXPECT_EQ(reply.usage->input_tokens, 7);
    EXPECT_EQ(reply.usage->cached_input_tokens, 4);
    EXPECT_EQ(reply.usage->output_tokens, 3);
  }
}

TEST(OpenAiChatTest, LinesMayEndInEveryWayAndDataMaySpanLines) {
  std::string body =
      Delta("a") + "data:{\"choices\":\ndata:[{\"delta\":{\"content\":\"b\"}}]}\n\n" + kDone;
  EXPECT_EQ(Read(kStream, body).text, "ab");
  std::string carriage_returns = body;
  std::replace(carriage_returns.begin(), carriage_returns.end(), '\n', '\r');
  std::string both;
  for (const char c : body) both += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const size_t piece_bytes : {1, 5, 1000}) {
    EXPECT_EQ(Read(kStream, carriage_returns, piece_bytes).text, "ab");
    EXPECT_EQ(Read(kStream, both, piece_bytes).text, "ab");
  }
}

TEST(OpenAiChatTest, AStreamThatBreaksOffIsNeitherCompleteNorAFault) {
  const std::string body = Delta("It is ") + Delta("Lima.", "\"stop\"") + kDone;
  for (size_t length = 0; length < body.size(); ++length) {
    const PoolReply reply = Read(kStream, body.substr(0, length));
    EXPECT_EQ(reply.is_complete, reply.text == "It is Lima.") << length;
    EXPECT_EQ(reply.fault, "") << length;
  }
}

TEST(OpenAiChatTest, TheLastReasonToStopCounts) {
  const PoolReply stopped = Read(kStream, Delta("a", "\"length\"") + Delta("", "\"stop\"") + kDone);
  EXPECT_FALSE(stopped.is_truncated || stopped.is_refusal);
  const PoolReply filtered =
      Read(kStream, Delta("a", "\"length\"") + Delta("", "\"content_filter\"") + kDone);
  EXPECT_FALSE(filtered.is_truncated);
  EXPECT_TRUE(filtered.is_refusal);
}

TEST(OpenAiChatTest, NothingAfterDoneCounts) {
  EXPECT_EQ(Read(kStream, Delta("a", "\"stop\"") + kDone + Delta("b")).text, "a");
}

TEST(OpenAiChatTest, AStreamOfGarbageOrOfAnErrorIsAFault) {
  EXPECT_THAT(Read(kStream, "data: {\"choi\n\n").fault, HasSubstr("not a JSON object"));
  EXPECT_THAT(Read(kStream, "data: 7\n\n").fault, HasSubstr("not a JSON object"));
  EXPECT_THAT(
      Read(kStream, Delta("a") + "data: {\"error\":{\"message\":\"CUDA out of memory\"}}\n\n")
          .fault,
      HasSubstr("CUDA out of memory"));
  EXPECT_FALSE(Read(kStream, "\x01\xff\xfe random bytes").is_complete);
}

TEST(OpenAiChatTest, ReadsAPlainDocument) {
  const PoolReply reply = ReadJson(
      R"({"model":"m-1","choices":[{"message":{"content":"It is Lima."},"finish_reason":"length"}],)"
      R"("usage":{"prompt_tokens":7,"completion_tokens":3}})");
  EXPECT_EQ(reply.text, "It is Lima.");
  EXPECT_TRUE(reply.is_truncated);
  EXPECT_TRUE(reply.is_complete && reply.is_done && reply.fault.empty());
  EXPECT_EQ(reply.usage->input_tokens, 7);
}

TEST(OpenAiChatTest, ADocumentWithoutAMessageIsAFault) {
  EXPECT_THAT(ReadJson("").fault, HasSubstr("not a JSON object"));
  EXPECT_THAT(ReadJson(R"({"choices":[{"message":{"content":"It)").fault,
              HasSubstr("not a JSON object"));
  EXPECT_THAT(ReadJson("<html>").fault, HasSubstr("not a JSON object"));
  EXPECT_THAT(ReadJson("{}").fault, HasSubstr("no choice"));
  EXPECT_THAT(ReadJson(R"({"choices":[]})").fault, HasSubstr("no choice"));
  EXPECT_THAT(ReadJson(R"({"choices":null})").fault, HasSubstr("no choice"));
  EXPECT_THAT(ReadJson(R"({"choices":[7]})").fault, HasSubstr("no choice"));
  EXPECT_THAT(ReadJson(R"({"choices":[{"text":"completion"}]})").fault, HasSubstr("no choice"));
  EXPECT_THAT(ReadJson(Document(R"({"content":null})")).fault, HasSubstr("no content"));
  EXPECT_THAT(ReadJson(Document(R"({"content":["a"]})")).fault, HasSubstr("no content"));
  EXPECT_THAT(ReadJson(Document(R"({"content":null})", "\"tool_calls\"")).fault, HasSubstr("tool"));
  EXPECT_THAT(ReadJson(R"({"error":"the model is loading"})").fault,
              HasSubstr("the model is loading"));
  EXPECT_THAT(ReadJson(Document("{\"content\":\"\xff\"}")).fault, HasSubstr("not a JSON object"));
}

TEST(OpenAiChatTest, ContentMayBeMissingWhereTheServerSaysWhy) {
  EXPECT_EQ(ReadJson(Document(R"({"content":null})", "\"length\"")).fault, "");
  const PoolReply filtered = ReadJson(Document(R"({"content":null})", "\"content_filter\""));
  EXPECT_EQ(filtered.fault, "");
  EXPECT_TRUE(filtered.is_refusal);
  const PoolReply refusal = ReadJson(Document(R"({"content":null,"refusal":"I will not."})"));
  EXPECT_EQ(refusal.fault, "");
  EXPECT_TRUE(refusal.is_refusal);
  EXPECT_EQ(ReadJson(Document(R"({"content":""})")).fault, "");
}

TEST(OpenAiChatTest, UsageCountsOnlyWhenEveryCountIsAnInteger) {
  for (const char* usage : {"null", "[]", "{}", R"({"prompt_tokens":1})",
                            R"({"prompt_tokens":1.5,"completion_tokens":2})",
                            R"({"prompt_tokens":"1","completion_tokens":2})"}) {
    EXPECT_FALSE(
        ReadJson(std::string(R"({"choices":[{"message":{"content":"a"}}],"usage":)") + usage + "}")
            .usage.has_value())
        << usage;
  }
}

TEST(OpenAiChatTest, HostileDocumentsAreReadInLinearTimeAndMemory) {
  EXPECT_NE(ReadJson(std::string(10 << 20, '[')).fault, "");
  EXPECT_NE(ReadJson(std::string(10 << 20, 'x')).fault, "");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 200'000; ++i) deep += "{\"a\":";
  EXPECT_NE(ReadJson(deep).fault, "");
  EXPECT_EQ(Read(kStream, "data: " + std::string(1 << 20, 'x'), /*piece_bytes=*/16).is_complete,
            false);
}

TEST(OpenAiChatTest, ErrorMessagesAreFoundCutAndCleaned) {
  EXPECT_EQ(OpenAiChat().ErrorMessage(R"({"error":{"message":"no such\nmodel"}})"),
            "no such model");
  EXPECT_EQ(OpenAiChat().ErrorMessage(R"({"error":"busy"})"), "busy");
  EXPECT_EQ(OpenAiChat().ErrorMessage(R"({"message":"busy"})"), "busy");
  EXPECT_EQ(OpenAiChat().ErrorMessage(R"({"detail":"busy"})"), "busy");
  EXPECT_EQ(OpenAiChat().ErrorMessage(R"({"detail":[1]})"), "");
  EXPECT_EQ(OpenAiChat().ErrorMessage("<html>"), "");
  const std::string cut =
      OpenAiChat().ErrorMessage("{\"error\":\"" + std::string(299, 'x') + "ï and more\"}");
  EXPECT_EQ(cut, std::string(299, 'x') + "ï...");
}

}  // namespace
}  // namespace routewright
