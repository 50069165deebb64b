// The data of a stream of server-sent events, out of bytes as they come. Source: WHATWG HTML, "Server-sent events". One
// thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace routewright {

class ServerSentEvents {
 public:
  // `on_event` gets each event's data lines, joined by line ends; an event without data is none.
  explicit ServerSentEvents(std::function<void(std::string_view data)> on_event)
      : on_event_(std::move(on_event)) {}

  void Feed(std::string_view bytes);
  // At the end of the stream: the data of an event that no blank line has ended; the stream may
  // have broken off in the middle of it. Empty: none.
  std::string TakeUnfinished();

 private:
  void TakeLine(std::string_view line);
  void TakeEvent();

  const std::function<void(std::string_view)> on_event_;
  std::string unread_;   // the line that is not whole yet
  size_t searched_ = 0;  // no line of unread_ ends before this
  std::string data_;     // of the event under way
};

}  // namespace routewright
