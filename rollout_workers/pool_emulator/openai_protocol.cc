#include "rollout_workers/pool_emulator/openai_protocol.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/absl_view.h"
#include "common/status_macros.h"
#include "rollout_workers/pool_emulator/answering.h"

namespace routewright {
namespace {

// Keeps the members in the order in which they were added.
using Json = nlohmann::ordered_json;

constexpr int64_t kTokensPerMessage = 4;  // role and separators

// Text that JSON can hold: bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Json& json) {
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace);
}

absl::Status Bad(std::string_view field, std::string_view must_be) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(field), "\" must be ", AbslView(must_be)));
}

// A message's content: a string, or a list of {"type":"text","text":…} parts.
absl::StatusOr<std::string> ContentText(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end()) return Bad("messages[].content", "present");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return Bad("messages[].content", "a string or a list of text parts");
  std::vector<std::string> parts;
  for (const Json& part : *content) {
    if (!part.is_object() || !part.contains("text") || !part.at("text").is_string()) {
      return Bad("messages[].content[]", "a part with \"text\"; other kinds are not served");
    }
    parts.push_back(part.at("text").get<std::string>());
  }
  return absl::StrJoin(parts, "\n");
}

absl::Status ReadMessages(const Json& body, ChatRequest& request) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty()) {
    return Bad("messages", "a list with at least one message");
  }
  bool has_user_message = false;
  for (const Json& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message.at("role").is_string()) {
      return Bad("messages[]", "an object with a string \"role\"");
    }
    RW_ASSIGN_OR_RETURN(std::string text, ContentText(message));
    request.prompt_tokens += static_cast<int64_t>(SplitPieces(text).size()) + kTokensPerMessage;
    if (message.at("role") != "user") continue;
    has_user_message = true;
    request.last_user_message = std::move(text);
  }
  return has_user_message ? absl::OkStatus() : Bad("messages", "a list with a user message");
}

absl::Status ReadLimits(const Json& body, ChatRequest& request) {
  for (const char* field : {"max_tokens", "max_completion_tokens"}) {
    const auto limit = body.find(field);
    if (limit == body.end() || limit->is_null()) continue;
    if (!limit->is_number_integer() || limit->get<int64_t>() < 1)
      return Bad(field, "a positive integer");
    request.max_tokens = limit->get<int64_t>();
  }
  const auto count = body.find("n");
  if (count != body.end() && !count->is_null() && *count != 1)
    return Bad("n", "1: one choice is served");
  return absl::OkStatus();
}

absl::Status ReadStreaming(const Json& body, ChatRequest& request) {
  const auto stream = body.find("stream");
  if (stream == body.end() || stream->is_null()) return absl::OkStatus();
  if (!stream->is_boolean()) return Bad("stream", "true or false");
  request.is_stream = stream->get<bool>();
  const auto options = body.find("stream_options");
  if (options == body.end() || options->is_null()) return absl::OkStatus();
  if (!request.is_stream) return Bad("stream_options", "absent unless \"stream\" is true");
  if (!options->is_object()) return Bad("stream_options", "an object");
  const auto include = options->find("include_usage");
  if (include == options->end()) return absl::OkStatus();
  if (!include->is_boolean()) return Bad("stream_options.include_usage", "true or false");
  request.include_usage = include->get<bool>();
  return absl::OkStatus();
}

Json UsageOf(const ChatCompletion& completion) {
  return {{"prompt_tokens", completion.prompt_tokens},
          {"completion_tokens", completion.completion_tokens},
          {"total_tokens", completion.prompt_tokens + completion.completion_tokens}};
}

std::string Event(const Json& chunk) { return absl::StrCat("data: ", Dump(chunk), "\n\n"); }

}  // namespace

absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body) {
  const Json json = Json::parse(body, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is not a JSON object");
  ChatRequest request;
  const auto model = json.find("model");
  if (model == json.end() || !model->is_string()) return Bad("model", "a string");
  request.model = model->get<std::string>();
  RW_RETURN_IF_ERROR(ReadMessages(json, request));
  RW_RETURN_IF_ERROR(ReadLimits(json, request));
  RW_RETURN_IF_ERROR(ReadStreaming(json, request));
  return request;
}

ChatCompletion MakeCompletion(const ChatRequest& request, std::string id, std::string_view text) {
  ChatCompletion completion;
  completion.id = std::move(id);
  completion.model = request.model;
  completion.finish_reason = "stop";
  for (const std::string_view piece : SplitPieces(text)) {
    if (request.max_tokens > 0 &&
        static_cast<int64_t>(completion.pieces.size()) == request.max_tokens) {
      completion.finish_reason = "length";
      break;
    }
    completion.pieces.emplace_back(piece);
  }
  completion.prompt_tokens = request.prompt_tokens;
  completion.completion_tokens = static_cast<int64_t>(completion.pieces.size());
  return completion;
}

std::string CompletionJson(const ChatCompletion& completion) {
  const Json message = {{"role", "assistant"}, {"content", absl::StrJoin(completion.pieces, "")}};
  const Json choice = {
      {"index", 0}, {"message", message}, {"finish_reason", completion.finish_reason}};
  const Json json = {{"id", completion.id},
                     {"object", "chat.completion"},
                     {"model", completion.model},
                     {"choices", Json::array({choice})},
                     {"usage", UsageOf(completion)}};
  return Dump(json);
}

std::vector<std::string> CompletionEvents(const ChatCompletion& completion, bool include_usage) {
  const auto chunk = [&](Json choices) {
    return Json{{"id", completion.id},
                {"object", "chat.completion.chunk"},
                {"model", completion.model},
                {"choices", std::move(choices)}};
  };
  const auto choice = [](Json delta, Json finish_reason) {
    return Json::array({Json{
        {"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(finish_reason)}}});
  };
  std::vector<std::string> events;
  events.push_back(Event(chunk(choice({{"role", "assistant"}, {"content", ""}}, nullptr))));
  for (const std::string& piece : completion.pieces) {
    events.push_back(Event(chunk(choice({{"content", piece}}, nullptr))));
  }
  events.push_back(Event(chunk(choice(Json::object(), completion.finish_reason))));
  if (include_usage) {
    Json usage = chunk(Json::array());
    usage["usage"] = UsageOf(completion);
    events.push_back(Event(usage));
  }
  events.push_back("data: [DONE]\n\n");
  return events;
}

std::string ModelsJson(const std::vector<std::string>& names) {
  Json data = Json::array();
  for (const std::string& name : names) {
    data.push_back({{"id", name}, {"object", "model"}, {"owned_by", "routewright"}});
  }
  return Dump({{"object", "list"}, {"data", std::move(data)}});
}

std::string ErrorJson(std::string_view message, std::string_view type, std::string_view code) {
  Json error = {{"message", message}, {"type", type}, {"code", nullptr}};
  if (!code.empty()) error["code"] = code;
  return Dump({{"error", std::move(error)}});
}

}  // namespace routewright
