// An HTTP server that says exactly what a test wants, byte by byte, whether it is HTTP or not.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace routewright {

struct ScriptedResponse {
  std::string bytes;
  enum class Then {
    kClose,
    kHold,
    kTrickle
  } then = Then::kClose;  // hold, trickle: until the client goes away
};

// A whole response with a length, and the headers given ("Name: value\r\n" each).
inline ScriptedResponse HttpResponse(int status, const std::string& body,
                                     const std::string& headers = "",
                                     const std::string& content_type = "application/json") {
  return {absl::StrCat("HTTP/1.1 ", status, " Some Reason\r\nContent-Type: ", content_type,
                       "\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n", headers,
                       "\r\n", body)};
}
// An event stream whose end is the connection's end.
inline ScriptedResponse EventStream(const std::string& events) {
  return {absl::StrCat(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", events)};
}

// Answers one request a connection, each on a thread of its own, until it is destroyed.
class ScriptedServer {
 public:
  // Called with the request's place (1, 2, …) and its whole text.
  using Script = std::function<ScriptedResponse(int, const std::string&)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, 128) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      abort();
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::jthread([this] { Accept(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);  // ends accept
    accepting_.join();
    {
      absl::MutexLock lock(&mutex_);
      for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    }
    serving_.clear();
    for (const int connection : connections_) close(connection);
    close(listener_);
  }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/v1"); }
  std::vector<std::string> requests() const {
    absl::MutexLock lock(&mutex_);
    return requests_;
  }
  // Waits until `count` requests have come.
  void AwaitRequests(size_t count) const {
    absl::MutexLock lock(&mutex_);
    const auto has_come = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return requests_.size() >= count;
    };
    mutex_.Await(absl::Condition(&has_come));
  }

 private:
  void Accept() {
    for (int connection; (connection = accept(listener_, nullptr, nullptr)) >= 0;) {
      absl::MutexLock lock(&mutex_);
      connections_.push_back(connection);
      serving_.emplace_back([this, connection] { Serve(connection); });
    }
  }

  void Serve(int connection) {
    const std::string request = ReadRequest(connection);
    if (request.empty()) return;
    int place = 0;
    {
      absl::MutexLock lock(&mutex_);
      requests_.push_back(request);
      place = static_cast<int>(requests_.size());
    }
    const ScriptedResponse response = script_(place, request);
    Send(connection, response.bytes);
    while (response.then == ScriptedResponse::Then::kTrickle &&
           !IsGone(connection, /*timeout_ms=*/5)) {
      Send(connection, ": still here\n");
    }
    if (response.then == ScriptedResponse::Then::kHold) IsGone(connection, /*timeout_ms=*/-1);
    shutdown(connection, SHUT_RDWR);
  }

  // Headers, and as much body as Content-Length says; empty if the client went away.
  static std::string ReadRequest(int connection) {
    std::string request;
    for (size_t wanted = 0; wanted == 0 || request.size() < wanted;) {
      char buffer[4096];
      const ssize_t count = recv(connection, buffer, sizeof(buffer), 0);
      if (count <= 0) return "";
      request.append(buffer, count);
      const size_t end = request.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::string headers = absl::AsciiStrToLower(request.substr(0, end));
      const size_t length = headers.find("content-length: ");
      wanted =
          end + 4 + (length == std::string::npos ? 0 : std::stoul(headers.substr(length + 16)));
    }
    return request;
  }

  static void Send(int connection, const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t count =
          send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += count;
    }
  }

  static bool IsGone(int connection, int timeout_ms) {
    pollfd events = {connection, POLLIN | POLLRDHUP, 0};
    return poll(&events, 1, timeout_ms) > 0;
  }

  const Script script_;
  int listener_ = -1;
  int port_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> connections_;  // open until the end, so that no number is used twice
  std::vector<std::jthread> serving_;
  std::jthread accepting_;
};

}  // namespace routewright
