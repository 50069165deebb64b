// What the server of a pool model speaks: how a call is asked for, and how its reply is read. A protocol knows bytes and
// no sockets; what a server sends is data to judge, and nothing in it can make a protocol fail, only PoolReply.fault.
// To add one: a file of this folder, its row in protocols.cc, its name in PoolModelConfig, its test.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret.h"

namespace routewright {

// What is asked of a model.
struct PoolQuery {
  std::string_view served_model;
  std::string_view prompt;  // one user message; any bytes
  int max_tokens = 0;       // of the reply
  double temperature = 0.0;
};

// Token counts as the server reported them, not yet judged.
struct TokenUsage {
  int64_t input_tokens = 0;  // all prompt tokens, cached ones included
  int64_t cached_input_tokens = 0;
  int64_t output_tokens = 0;
};

// What came of it.
struct PoolReply {
  std::string text;                 // valid UTF-8; as far as it came, if the reply was cut off
  std::string served_model;         // empty if it was not said
  bool is_truncated = false;        // it ends because max_tokens was reached
  bool is_refusal = false;          // the model refused, or a filter took the content away
  bool is_complete = false;         // all of the reply came; if not, and without a fault, it broke
                                    // off and is tried again: a server that is busy, say
  bool is_done = false;             // the server said that nothing follows
  std::optional<TokenUsage> usage;  // only if every count was there as an integer, and is final
  std::string fault;                // one clause saying why this is no reply; empty if it is one
};

// Reads one response's body in pieces as they come. One thread.
class PoolReplyReader {
 public:
  virtual ~PoolReplyReader() = default;
  virtual void Feed(std::string_view bytes) = 0;
  // Call once, at the end of the body or where it broke off.
  virtual PoolReply Finish() = 0;
};

struct HttpHeader {
  std::string name;
  std::string value;
};

// Immutable; any thread.
class PoolProtocol {
 public:
  virtual ~PoolProtocol() = default;

  // Where calls go, below base_url: "/chat/completions".
  virtual std::string Path() const = 0;
  // Those of every call besides Content-Type and Accept; the key is in one if it is not empty.
  // Nobody logs them.
  virtual std::vector<HttpHeader> Headers(const Secret& key) const = 0;
  // The body of a POST, JSON. Bytes of the prompt that are not UTF-8 become U+FFFD.
  virtual std::string RequestBody(const PoolQuery& query) const = 0;
  // For a response of status 200 with this Content-Type.
  virtual std::unique_ptr<PoolReplyReader> NewReader(std::string_view content_type) const = 0;
  // The sentence in the body of another status, whatever its form; at most 300 bytes, control
  // characters removed; empty if there is none.
  virtual std::string ErrorMessage(std::string_view body) const = 0;
};

}  // namespace routewright
