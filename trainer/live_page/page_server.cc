#include "trainer/live_page/page_server.h"

#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/serving_thread.h"
#include "common/status_macros.h"
#include "trainer/live_page/page_access.h"
#include "trainer/live_page/page_files.h"

namespace routewright {
namespace {

constexpr size_t kThreads = 8;
constexpr int kBacklog = 128;  // the library's 5 loses connections
constexpr const char* kJson = "application/json";

int64_t NumberOf(const httplib::Request& request, const char* name, int64_t otherwise) {
  int64_t value = otherwise;
  if (!request.has_param(name) || !absl::SimpleAtoi(request.get_param_value(name), &value)) {
    return otherwise;
  }
  return value;
}

void Refuse(int status, const std::string& why, httplib::Response& response) {
  response.status = status;
  response.set_content(why + "\n", "text/plain; charset=utf-8");
}

}  // namespace

class PageServer::Site {
 public:
  Site(PageAccess access, LiveState* state) : access_(std::move(access)), state_(state) {
    http_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // the server owns it
    http_.set_keep_alive_max_count(1);  // an idle connection would keep a thread
    http_.set_read_timeout(5, 0);
    http_.set_write_timeout(10, 0);
    http_.set_payload_max_length(0);
    // Without the library's SO_REUSEPORT, with which two processes would share a port.
    http_.set_socket_options([this](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      listen_socket_ = socket;
    });
    http_.set_default_headers({
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    });
    http_.set_pre_routing_handler(
        [this](const auto& request, auto& response) { return Admit(request, response); });
    http_.set_exception_handler([](const auto&, auto& response, const std::exception_ptr&) {
      Refuse(500, "the page could not be made", response);
    });
    ServeFiles();
    ServeData();
  }
  ~Site() { http_.stop(); }

  // The port in use, or ≤ 0 if there is none to be had.
  int Listen(const std::string& host, int port) {
    if (port == 0) {
      port = http_.bind_to_any_port(host);
    } else if (!http_.bind_to_port(host, port)) {
      return 0;
    }
    if (port <= 0 || ::listen(listen_socket_, kBacklog) != 0) return 0;
    return thread_.Start(http_) ? port : 0;
  }

 private:
  using Handled = httplib::Server::HandlerResponse;

  Handled Admit(const httplib::Request& request, httplib::Response& response) const {
    if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      Refuse(405, "this page can only be read", response);
      return Handled::Handled;
    }
    if (!access_.IsHostAllowed(request.get_header_value("Host"))) {
      Refuse(421, "ask this host by its address, localhost or its own name", response);
      return Handled::Handled;
    }
    // The files are the same for every run and tell nothing.
    if (request.path.starts_with("/api/") &&
        !access_.IsAuthorized(request.get_header_value("Authorization"))) {
      response.set_header("WWW-Authenticate", "Bearer");
      Refuse(401, "this page needs its token", response);
      return Handled::Handled;
    }
    return Handled::Unhandled;
  }

  void ServeFiles() {
    for (const PageFile& file : LivePageFiles()) {
      http_.Get(file.path, [&file](const auto&, auto& response) {
        response.set_content(file.content.data(), file.content.size(), file.content_type);
      });
    }
  }

  void ServeData() {
    http_.Get("/api/run", [this](const auto&, auto& response) {
      response.set_content(state_->RunJson(), kJson);
    });
    http_.Get("/api/status", [this](const auto&, auto& response) {
      response.set_content(state_->StatusJson(), kJson);
    });
    http_.Get("/api/curves", [this](const auto& request, auto& response) {
      response.set_content(
          state_->CurvesJson(NumberOf(request, "since", -1), NumberOf(request, "generation", -1)),
          kJson);
    });
    http_.Get("/api/workers", [this](const auto& request, auto& response) {
      const int64_t limit = std::max<int64_t>(0, NumberOf(request, "limit", 50));
      response.set_content(
          state_->WorkersJson(request.get_param_value("sort"), static_cast<size_t>(limit)), kJson);
    });
    http_.Get("/api/trajectories", [this](const auto&, auto& response) {
      response.set_content(state_->TrajectoriesJson(), kJson);
    });
    http_.Get("/api/trajectory", [this](const auto& request, auto& response) {
      const auto json = state_->TrajectoryJson(request.get_param_value("id"));
      if (!json.has_value()) return Refuse(404, "this trajectory is no longer kept", response);
      response.set_content(*json, kJson);
    });
  }

  const PageAccess access_;
  LiveState* const state_;
  socket_t listen_socket_ = INVALID_SOCKET;
  httplib::Server http_;
  ServingThread thread_;  // last: dies first
};

PageServer::PageServer(std::string host, std::unique_ptr<Site> site)
    : host_(std::move(host)), site_(std::move(site)) {}
PageServer::~PageServer() = default;

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(Options options, LiveState* state) {
  RW_RETURN_IF_ERROR(CheckToken(options.token));
  const auto address = ParseNetworkAddress(options.listen_address);
  if (!address.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options.listen_address, "' is not host:port"));
  }
  const std::string host = WithoutBrackets(address->host);
  std::vector<int> ports = {address->port};
  if (address->port == 0 && options.preferred_port > 0) ports = {options.preferred_port, 0};
  for (const int port : ports) {
    std::unique_ptr<PageServer> server(new PageServer(
        address->host,
        std::make_unique<Site>(PageAccess(options.token, {HostName(), host}), state)));
    server->port_ = server->site_->Listen(host, port);
    if (server->port_ > 0) return server;
  }
  return absl::UnavailableError(
      absl::StrCat("cannot serve the run's page at ", options.listen_address,
                   ": the address is in use or not of this host (port 0 picks a free one)"));
}

std::string PageServer::url() const {
  return absl::StrCat("http://", ReachableHost(host_), ":", port_, "/");
}

}  // namespace routewright
