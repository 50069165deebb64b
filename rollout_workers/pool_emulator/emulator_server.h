// The emulator's HTTP server: one process that serves every simulated model of a config.
//   POST /v1/chat/completions (plain, or streamed as server-sent events) · GET /v1/models · GET
//   /health
// Bad requests get OpenAI's error JSON with 400 or 404. A reply's latency is
// real: the handler sleeps.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/serving_thread.h"
#include "proto/config.pb.h"
#include "rollout_workers/pool_emulator/facts_table.h"

namespace httplib {
class Server;
}

namespace routewright {

// Serves on threads of its own, one a connection, from Listen until it is destroyed.
class EmulatorServer {
 public:
  // Binds listen_host:port (0: a free one) and begins to serve. Fails: kInvalidArgument for a
  // config without models, with a name twice or with a skill or rates outside [0, 1]; kUnavailable
  // if the port cannot be had.
  static absl::StatusOr<std::unique_ptr<EmulatorServer>> Listen(const PoolEmulatorConfig& config,
                                                                FactsTable facts);
  // Waits for requests under way, and for idle connections to time out.
  ~EmulatorServer();

  int port() const { return port_; }
  std::string url() const;  // "http://127.0.0.1:8100/v1"

 private:
  class Handlers;
  EmulatorServer(std::string host, std::unique_ptr<Handlers> handlers);

  const std::string host_;
  int port_ = 0;
  int listen_socket_ = -1;  // owned by server_
  std::unique_ptr<Handlers> handlers_;
  std::unique_ptr<httplib::Server> server_;
  ServingThread thread_;  // accepts; the server's own threads handle
};

}  // namespace routewright
