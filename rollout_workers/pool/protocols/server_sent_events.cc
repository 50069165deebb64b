#include "rollout_workers/pool/protocols/server_sent_events.h"

#include <utility>

namespace routewright {

void ServerSentEvents::Feed(std::string_view bytes) {
  unread_ += bytes;
  // Lines end with \n, \r\n or \r; a \r at the very end waits for its \n.
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

std::string ServerSentEvents::TakeUnfinished() {
  if (!unread_.empty()) TakeLine(std::exchange(unread_, ""));
  return std::exchange(data_, "");
}

void ServerSentEvents::TakeLine(std::string_view line) {
  if (line.empty()) return TakeEvent();
  constexpr std::string_view kData = "data:";
  if (line.substr(0, kData.size()) != kData) return;  // comments, and fields that say nothing here
  line.remove_prefix(kData.size());
  if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  if (!data_.empty()) data_ += '\n';
  data_ += line;
}

void ServerSentEvents::TakeEvent() {
  const std::string data = std::exchange(data_, "");
  if (!data.empty()) on_event_(data);
}

}  // namespace routewright
