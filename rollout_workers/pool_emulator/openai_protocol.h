// The OpenAI chat protocol as a server speaks it: requests in, completions, stream chunks and
// errors out, all JSON. Knows nothing of sockets or of facts. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace routewright {

struct ChatRequest {
  std::string model;
  std::string last_user_message;
  int64_t prompt_tokens = 0;  // pieces of all messages (answering.h) + 4 a message
  int64_t max_tokens = 0;     // 0 = no limit
  bool is_stream = false;
  bool include_usage = false;  // streams only
};

// Reads a POST body. Fails with kInvalidArgument, the message naming the field and what it must be.
absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body);

// A reply as it goes out: the text is `pieces` joined, cut to the request's max_tokens.
struct ChatCompletion {
  std::string id;
  std::string model;
  std::vector<std::string> pieces;
  std::string finish_reason;  // "stop" or "length"
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};
ChatCompletion MakeCompletion(const ChatRequest& request, std::string id, std::string_view text);

std::string CompletionJson(const ChatCompletion& completion);
// The events of a streamed reply, each with its "data: " and blank line: role, pieces,
// finish_reason, usage if asked for, [DONE].
std::vector<std::string> CompletionEvents(const ChatCompletion& completion, bool include_usage);
std::string ModelsJson(const std::vector<std::string>& names);
// {"error":{"message","type","code"}}; `code` may be empty.
std::string ErrorJson(std::string_view message, std::string_view type, std::string_view code);

}  // namespace routewright
