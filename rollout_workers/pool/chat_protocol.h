// OpenAI's chat protocol as a client speaks it: one request's body out, one response's body in,
// streamed (server-sent events) or plain JSON. What a server sends is data to judge: nothing in it
// can make this fail, only ChatReply.fault. Knows no sockets. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace routewright {

// The body of one request: a single user message, streamed, with usage asked for. Bytes of the
// prompt that are not UTF-8 become U+FFFD.
std::string ChatRequestBody(std::string_view served_model, std::string_view prompt, int max_tokens,
                            double temperature);

// Token counts as the server reported them, not yet judged.
struct TokenUsage {
  int64_t input_tokens = 0;  // all prompt tokens, cached ones included
  int64_t cached_input_tokens = 0;
  int64_t output_tokens = 0;
};

struct ChatReply {
  std::string text;           // valid UTF-8; what came of it, if the reply was cut off
  std::string served_model;   // empty if it was not said
  std::string finish_reason;  // empty if it was not said
  bool is_refusal = false;    // the message said "refusal" instead of content
  bool is_complete = false;   // all of it came: a stream's finish_reason or [DONE], or valid JSON
  bool is_done = false;       // the server said that nothing follows: [DONE], or valid JSON
  std::optional<TokenUsage> usage;  // only if every count was there as an integer
  std::string fault;  // one clause saying why this is no chat completion; empty if it is one
};

// Reads one response body in pieces as they come. One thread.
class ChatReplyReader {
 public:
  // `content_type` of the response: an event stream is read as one, everything
  // else as one JSON document.
  explicit ChatReplyReader(std::string_view content_type);
  void Feed(std::string_view bytes);
  // Call once, at the end of the body or where it broke off.
  ChatReply Finish();

 private:
  void TakeLine(std::string_view line);
  void TakeEvent();

  const bool is_event_stream_;
  std::string unread_;      // the line that is not whole yet, or the JSON document
  size_t searched_ = 0;     // no line of unread_ ends before this
  std::string event_data_;  // data lines of the event under way
  ChatReply reply_;
};

// The sentence in an error response's body, whatever its form; at most 300 bytes, control
// characters removed; empty if there is none.
std::string ErrorMessageOf(std::string_view body);

}  // namespace routewright
