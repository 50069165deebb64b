// Serves the page about a running training: its files and the JSON that they ask for, over HTTP.
// Read-only: what is not GET or HEAD is refused.
//
// A listening thread and a few that answer, all its own. Nothing that a reader does reaches the
// learner but through LiveState's lock.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/secret.h"
#include "trainer/live_page/live_state.h"

namespace routewright {

class PageServer {
 public:
  struct Options {
    std::string listen_address;  // host:port; port 0 picks one
    int preferred_port = 0;      // taken in place of port 0 if it is free
    Secret token = {};           // empty: everyone who reaches the page may read it
  };
  // `state` must outlive the server. Fails: kInvalidArgument for a token that could be guessed;
  // kUnavailable if the address can't be had.
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(Options options, LiveState* state);
  ~PageServer();

  int port() const { return port_; }
  std::string url() const;  // "http://127.0.0.1:4711/", with the name that others reach it by

 private:
  class Site;
  PageServer(std::string host, std::unique_ptr<Site> site);

  const std::string host_;
  std::unique_ptr<Site> site_;
  int port_ = 0;
};

}  // namespace routewright
