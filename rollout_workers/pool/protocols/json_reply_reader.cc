#include "rollout_workers/pool/protocols/json_reply_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "common/absl_view.h"
#include "rollout_workers/pool/protocols/foreign_json.h"

namespace routewright {

JsonReplyReader::JsonReplyReader(std::string_view content_type)
    : is_stream_(absl::StartsWithIgnoreCase(AbslView(content_type), "text/event-stream")),
      events_([this](std::string_view data) { TakeData(data); }) {}

void JsonReplyReader::Feed(std::string_view bytes) {
  if (is_stream_) {
    events_.Feed(bytes);
  } else {
    document_ += bytes;
  }
}

void JsonReplyReader::TakeData(std::string_view data) {
  if (reply_.is_done || !reply_.fault.empty()) return;
  if (IsEnd(data)) {
    reply_.is_complete = true;
    reply_.is_done = true;
    return;
  }
  const nlohmann::json event = ParseForeign(data);
  if (event.is_object()) {
    TakeEvent(event);
  } else {
    reply_.fault = "an event of the stream is not a JSON object";
  }
}

PoolReply JsonReplyReader::Finish() {
  if (is_stream_) {
    // The last event may lack its blank line; if it is not whole, the stream broke off in it.
    const std::string last = events_.TakeUnfinished();
    if (IsEnd(last) || ParseForeign(last).is_object()) TakeData(last);
  } else if (const nlohmann::json document = ParseForeign(document_); document.is_object()) {
    reply_.is_complete = true;
    reply_.is_done = true;
    TakeDocument(document);
  } else {
    reply_.fault = "the response is not a JSON object";
  }
  Conclude();
  return std::move(reply_);
}

}  // namespace routewright
