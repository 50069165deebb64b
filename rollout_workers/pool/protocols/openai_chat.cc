#include "rollout_workers/pool/protocols/openai_chat.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rollout_workers/pool/protocols/foreign_json.h"
#include "rollout_workers/pool/protocols/json_reply_reader.h"

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

class OpenAiChatReader final : public JsonReplyReader {
 public:
  using JsonReplyReader::JsonReplyReader;

 private:
  void TakeDocument(const Json& json) override;
  // One chunk of a stream. Its choices may be empty: the last one carries usage only.
  void TakeEvent(const Json& chunk) override;
  bool IsEnd(std::string_view data) const override { return data == "[DONE]"; }
  void Conclude() override {
    reply_.is_truncated = finish_reason_ == "length";
    reply_.is_refusal = has_refused_ || finish_reason_ == "content_filter";
  }
  void ReadFinishReason(const Json& choice);

  std::string finish_reason_;  // the last one that was said
  bool has_refused_ = false;   // a "refusal" came instead of content
};

void OpenAiChatReader::ReadFinishReason(const Json& choice) {
  if (std::string reason = StringMember(choice, "finish_reason"); !reason.empty()) {
    finish_reason_ = std::move(reason);
    reply_.is_complete = true;
  }
  if (finish_reason_ == "tool_calls" || finish_reason_ == "function_call") {
    reply_.fault = "the model called a tool, and none was offered";
  }
}

void OpenAiChatReader::TakeEvent(const Json& chunk) {
  if (!ReadCommon(chunk, reply_)) return;
  const Json* choices = Member(chunk, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return;
  const Json& choice = choices->front();
  if (const Json* delta = Member(choice, "delta")) {
    reply_.text += ContentOf(*delta).value_or("");
    if (!StringMember(*delta, "refusal").empty()) has_refused_ = true;
  }
  ReadFinishReason(choice);
}

void OpenAiChatReader::TakeDocument(const Json& json) {
  if (!ReadCommon(json, reply_)) return;
  const Json* choices = Member(json, "choices");
  const Json* message = choices != nullptr && choices->is_array() && !choices->empty()
                            ? Member(choices->front(), "message")
                            : nullptr;
  if (message == nullptr) {
    reply_.fault = "the response has no choice with a message";
    return;
  }
  ReadFinishReason(choices->front());
  has_refused_ = !StringMember(*message, "refusal").empty();
  const std::optional<std::string> content = ContentOf(*message);
  reply_.text = content.value_or("");
  // A model may spend its whole limit before it says anything, and a filter takes the
  // content away; both say so.
  const bool may_be_empty =
      has_refused_ || finish_reason_ == "length" || finish_reason_ == "content_filter";
  if (!content.has_value() && !may_be_empty && reply_.fault.empty()) {
    reply_.fault = "the message has no content";
  }
}

class OpenAiChatProtocol final : public PoolProtocol {
 public:
  std::string Path() const override { return "/chat/completions"; }
  std::vector<HttpHeader> Headers(const Secret& key) const override {
    if (key.is_empty()) return {};
    return {{"Authorization", BearerAuthorization(key)}};
  }
  std::string RequestBody(const PoolQuery& query) const override;
  std::unique_ptr<PoolReplyReader> NewReader(std::string_view content_type) const override {
    return std::make_unique<OpenAiChatReader>(content_type);
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
