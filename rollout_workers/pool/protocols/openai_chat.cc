#include "rollout_workers/pool/protocols/openai_chat.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "rollout_workers/pool/protocols/foreign_json.h"
#include "rollout_workers/pool/protocols/server_sent_events.h"

namespace routewright {
namespace {

using Json = nlohmann::json;

// Of a choice's message or delta.
std::optional<std::string> ContentOf(const Json& message) {
  const Json* content = Member(message, "content");
  if (content == nullptr || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

void ReadUsage(const Json& json, PoolReply& reply) {
  const Json* usage = Member(json, "usage");
  if (usage == nullptr || !usage->is_object()) return;
  const std::optional<int64_t> input = IntegerMember(*usage, "prompt_tokens");
  const std::optional<int64_t> output = IntegerMember(*usage, "completion_tokens");
  if (!input.has_value() || !output.has_value()) return;
  reply.usage =
      TokenUsage{.input_tokens = *input, .cached_input_tokens = 0, .output_tokens = *output};
  if (const Json* details = Member(*usage, "prompt_tokens_details")) {
    reply.usage->cached_input_tokens = IntegerMember(*details, "cached_tokens").value_or(0);
  }
}

// What every document and every chunk may say besides its choice. False if it is an error instead.
bool ReadCommon(const Json& json, PoolReply& reply) {
  ReadUsage(json, reply);
  if (std::string model = StringMember(json, "model"); !model.empty())
    reply.served_model = std::move(model);
  const Json* error = Member(json, "error");
  if (error == nullptr || error->is_null()) return true;
  reply.fault = absl::StrCat("the response is an error: ", ErrorSentence(json));
  return false;
}

// A reply as far as it is read.
struct Reading {
  PoolReply reply;
  std::string finish_reason;  // the last one that was said
  bool has_refused = false;   // a "refusal" came instead of content

  // Once nothing more comes.
  PoolReply Finish() {
    reply.is_truncated = finish_reason == "length";
    reply.is_refusal = has_refused || finish_reason == "content_filter";
    return std::move(reply);
  }
};

void ReadFinishReason(const Json& choice, Reading& reading) {
  if (std::string reason = StringMember(choice, "finish_reason"); !reason.empty()) {
    reading.finish_reason = std::move(reason);
    reading.reply.is_complete = true;
  }
  if (reading.finish_reason == "tool_calls" || reading.finish_reason == "function_call") {
    reading.reply.fault = "the model called a tool, and none was offered";
  }
}

// One chunk of a stream. Its choices may be empty: the last one carries usage only.
void ReadChunk(const Json& chunk, Reading& reading) {
  PoolReply& reply = reading.reply;
  if (!chunk.is_object()) {
    reply.fault = "an event of the stream is not a JSON object";
    return;
  }
  if (!ReadCommon(chunk, reply)) return;
  const Json* choices = Member(chunk, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return;
  const Json& choice = choices->front();
  if (const Json* delta = Member(choice, "delta")) {
    reply.text += ContentOf(*delta).value_or("");
    if (!StringMember(*delta, "refusal").empty()) reading.has_refused = true;
  }
  ReadFinishReason(choice, reading);
}

void ReadDocument(std::string_view text, Reading& reading) {
  PoolReply& reply = reading.reply;
  const Json json = ParseForeign(text);
  if (!json.is_object()) {
    reply.fault = "the response is not a JSON object";
    return;
  }
  reply.is_complete = true;
  reply.is_done = true;
  if (!ReadCommon(json, reply)) return;
  const Json* choices = Member(json, "choices");
  const Json* message = choices != nullptr && choices->is_array() && !choices->empty()
                            ? Member(choices->front(), "message")
                            : nullptr;
  if (message == nullptr) {
    reply.fault = "the response has no choice with a message";
    return;
  }
  ReadFinishReason(choices->front(), reading);
  reading.has_refused = !StringMember(*message, "refusal").empty();
  const std::optional<std::string> content = ContentOf(*message);
  reply.text = content.value_or("");
  // A model may spend its whole limit before it says anything, and a filter takes the
  // content away; both say so.
  const bool may_be_empty = reading.has_refused || reading.finish_reason == "length" ||
                            reading.finish_reason == "content_filter";
  if (!content.has_value() && !may_be_empty && reply.fault.empty()) {
    reply.fault = "the message has no content";
  }
}

// A body that is one JSON document.
class DocumentReader final : public PoolReplyReader {
 public:
  void Feed(std::string_view bytes) override { text_ += bytes; }
  PoolReply Finish() override {
    Reading reading;
    ReadDocument(text_, reading);
    return reading.Finish();
  }

 private:
  std::string text_;
};

// A body that is a stream of events, the last one "[DONE]".
class StreamReader final : public PoolReplyReader {
 public:
  void Feed(std::string_view bytes) override { events_.Feed(bytes); }
  PoolReply Finish() override {
    // The last event may lack its blank line; if it is not whole, the stream broke off in it.
    const std::string last = events_.TakeUnfinished();
    if (last == kDone || ParseForeign(last).is_object()) TakeEvent(last);
    return reading_.Finish();
  }

 private:
  static constexpr std::string_view kDone = "[DONE]";

  void TakeEvent(std::string_view data) {
    PoolReply& reply = reading_.reply;
    if (reply.is_done || !reply.fault.empty()) return;
    if (data == kDone) {
      reply.is_complete = true;
      reply.is_done = true;
      return;
    }
    ReadChunk(ParseForeign(data), reading_);
  }

  ServerSentEvents events_{[this](std::string_view data) { TakeEvent(data); }};
  Reading reading_;
};

class OpenAiChatProtocol final : public PoolProtocol {
 public:
  std::string Path() const override { return "/chat/completions"; }
  HttpHeader KeyHeader(const Secret& key) const override {
    return {"Authorization", BearerAuthorization(key)};
  }
  std::string RequestBody(const PoolQuery& query) const override;
  std::unique_ptr<PoolReplyReader> NewReader(std::string_view content_type) const override {
    if (absl::StartsWithIgnoreCase(AbslView(content_type), "text/event-stream")) {
      return std::make_unique<StreamReader>();
    }
    return std::make_unique<DocumentReader>();
  }
  std::string ErrorMessage(std::string_view body) const override {
    return ErrorSentence(ParseForeign(body));
  }
};

std::string OpenAiChatProtocol::RequestBody(const PoolQuery& query) const {
  nlohmann::ordered_json body;
  body["model"] = query.served_model;
  body["messages"] = nlohmann::ordered_json::array({{{"role", "user"}, {"content", query.prompt}}});
  body["max_tokens"] = query.max_tokens;
  body["temperature"] = query.temperature;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return body.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

const PoolProtocol& OpenAiChat() {
  static const auto* const protocol = new OpenAiChatProtocol;
  return *protocol;
}

}  // namespace routewright
