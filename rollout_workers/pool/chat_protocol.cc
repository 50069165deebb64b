#include "rollout_workers/pool/chat_protocol.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"

namespace routewright {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxErrorBytes = 300;
constexpr int kMaxDepth = 32;

// Deeper values are dropped as they are read, so that a megabyte of '[' costs nothing.
Json Parse(std::string_view text) {
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  return Json::parse(text, is_shallow, /*allow_exceptions=*/false);
}

// The member of an object; nullptr for everything else.
const Json* Member(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

std::string StringMember(const Json& json, const char* name) {
  const Json* member = Member(json, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

// An integer that fits int64_t; unsigned ones beyond it become negative, which no caller accepts.
std::optional<int64_t> IntegerMember(const Json& json, const char* name) {
  const Json* member = Member(json, name);
  if (member == nullptr || !member->is_number_integer()) return std::nullopt;
  return member->get<int64_t>();
}

// At most kMaxErrorBytes, at the end of a character; control characters become spaces.
std::string Printable(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool begins_character = (byte & 0xC0) != 0x80;
    if (clean.size() >= kMaxErrorBytes && begins_character) return clean + "...";
    clean += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return clean;
}

// The forms that servers use: {"error":{"message":…}}, {"error":"…"},
// {"message":…}, {"detail":"…"}.
std::string ErrorSentence(const Json& json) {
  if (const Json* error = Member(json, "error")) {
    if (error->is_string()) return Printable(error->get<std::string>());
    if (std::string message = StringMember(*error, "message"); !message.empty())
      return Printable(message);
  }
  const std::string message = StringMember(json, "message");
  return Printable(message.empty() ? StringMember(json, "detail") : message);
}

// Of a choice's message or delta.
std::optional<std::string> ContentOf(const Json& message) {
  const Json* content = Member(message, "content");
  if (content == nullptr || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

void ReadUsage(const Json& json, ChatReply& reply) {
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
bool ReadCommon(const Json& json, ChatReply& reply) {
  ReadUsage(json, reply);
  if (std::string model = StringMember(json, "model"); !model.empty())
    reply.served_model = std::move(model);
  const Json* error = Member(json, "error");
  if (error == nullptr || error->is_null()) return true;
  reply.fault = absl::StrCat("the response is an error: ", ErrorSentence(json));
  return false;
}

void ReadFinishReason(const Json& choice, ChatReply& reply) {
  if (std::string reason = StringMember(choice, "finish_reason"); !reason.empty()) {
    reply.finish_reason = std::move(reason);
    reply.is_complete = true;
  }
  if (reply.finish_reason == "tool_calls" || reply.finish_reason == "function_call") {
    reply.fault = "the model called a tool, and none was offered";
  }
}

// One chunk of a stream. Its choices may be empty: the last one carries usage only.
void ReadChunk(const Json& chunk, ChatReply& reply) {
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
    if (!StringMember(*delta, "refusal").empty()) reply.is_refusal = true;
  }
  ReadFinishReason(choice, reply);
}

void ReadDocument(std::string_view text, ChatReply& reply) {
  const Json json = Parse(text);
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
  ReadFinishReason(choices->front(), reply);
  reply.is_refusal = !StringMember(*message, "refusal").empty();
  const std::optional<std::string> content = ContentOf(*message);
  reply.text = content.value_or("");
  // A model may spend its whole limit before it says anything, and a filter takes the
  // content away; both say so.
  const bool may_be_empty = reply.is_refusal || reply.finish_reason == "length" ||
                            reply.finish_reason == "content_filter";
  if (!content.has_value() && !may_be_empty && reply.fault.empty()) {
    reply.fault = "the message has no content";
  }
}

}  // namespace

std::string ChatRequestBody(std::string_view served_model, std::string_view prompt, int max_tokens,
                            double temperature) {
  nlohmann::ordered_json body;
  body["model"] = served_model;
  body["messages"] = nlohmann::ordered_json::array({{{"role", "user"}, {"content", prompt}}});
  body["max_tokens"] = max_tokens;
  body["temperature"] = temperature;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return body.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

ChatReplyReader::ChatReplyReader(std::string_view content_type)
    : is_event_stream_(absl::StartsWithIgnoreCase(AbslView(content_type), "text/event-stream")) {}

void ChatReplyReader::Feed(std::string_view bytes) {
  unread_ += bytes;
  if (!is_event_stream_) return;
  // Lines end with \n, \r\n or \r (WHATWG HTML, "Server-sent events"); a \r at the
  // very end waits for its \n.
  size_t start = 0;
  for (size_t end; (end = unread_.find_first_of("\r\n", searched_)) != std::string::npos;) {
    searched_ = end;
    if (unread_[end] == '\r' && end + 1 == unread_.size()) break;
    TakeLine(std::string_view(unread_).substr(start, end - start));
    start = searched_ = end + (unread_.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  // Without an end of line what is left is not searched again, however slowly the rest comes.
  if (unread_.find_first_of("\r\n", searched_) == std::string::npos) searched_ = unread_.size();
  unread_.erase(0, start);
  searched_ -= start;
}

void ChatReplyReader::TakeLine(std::string_view line) {
  if (line.empty()) return TakeEvent();
  constexpr std::string_view kData = "data:";
  if (line.substr(0, kData.size()) != kData) return;  // comments, and fields that say nothing here
  line.remove_prefix(kData.size());
  if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  if (!event_data_.empty()) event_data_ += '\n';
  event_data_ += line;
}

void ChatReplyReader::TakeEvent() {
  const std::string data = std::exchange(event_data_, "");
  if (data.empty() || reply_.is_done || !reply_.fault.empty()) return;
  if (data == "[DONE]") {
    reply_.is_complete = true;
    reply_.is_done = true;
    return;
  }
  ReadChunk(Parse(data), reply_);
}

ChatReply ChatReplyReader::Finish() {
  if (!is_event_stream_) {
    ReadDocument(unread_, reply_);
  } else {
    // The last event may lack its blank line; if it is not whole, the stream broke off in it.
    if (!unread_.empty()) TakeLine(std::exchange(unread_, ""));
    if (event_data_ == "[DONE]" || Parse(event_data_).is_object()) TakeEvent();
  }
  return std::move(reply_);
}

std::string ErrorMessageOf(std::string_view body) { return ErrorSentence(Parse(body)); }

}  // namespace routewright
