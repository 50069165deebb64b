#include "rollout_workers/pool_emulator/emulator_server.h"

#include <httplib.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "rollout_workers/pool_emulator/answering.h"
#include "rollout_workers/pool_emulator/openai_protocol.h"

namespace routewright {
namespace {

constexpr size_t kThreads = 512;  // connections served at once; an idle kept-alive one counts
constexpr size_t kMaxBodyBytes = 4 << 20;
constexpr size_t kMaxCountedQuestions = 100'000;  // then counting attempts starts anew
constexpr const char* kJson = "application/json";

absl::Status CheckConfig(const PoolEmulatorConfig& config) {
  if (config.models().empty()) {
    return absl::InvalidArgumentError(
        "pool_emulator.models is empty: name at least one model to serve");
  }
  std::map<std::string, int> names;
  for (const EmulatedModelConfig& model : config.models()) {
    const std::string where = absl::StrCat("pool_emulator.models: \"", model.name(), "\"");
    if (++names[model.name()] > 1)
      return absl::InvalidArgumentError(absl::StrCat(where, " is there twice"));
    for (const auto& [topic, skill] : model.skill()) {
      if (skill >= 0 && skill <= 1) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": skill.", topic, " is ", skill, "; it must lie in [0, 1]"));
    }
    if (model.failure_rate() + model.rate_limit_rate() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": failure_rate and rate_limit_rate add up to more than 1"));
    }
  }
  return absl::OkStatus();
}

void SendError(int http_status, std::string_view message, std::string_view code,
               httplib::Response& response) {
  response.status = http_status;
  const std::string_view type = http_status < 500 ? "invalid_request_error" : "server_error";
  response.set_content(ErrorJson(message, http_status == 429 ? "rate_limit_error" : type, code),
                       kJson);
}

// Sends one event at each call of the server, which calls until done() says that it was the last.
void SendEvents(std::vector<std::string> events, httplib::Response& response) {
  auto next = std::make_shared<size_t>(0);  // owned by the provider, which std::function may copy
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(
      "text/event-stream",
      [events = std::move(events), next](size_t /*offset*/, httplib::DataSink& sink) {
        const std::string& event = events[(*next)++];
        if (!sink.write(event.data(), event.size())) return false;
        if (*next == events.size()) sink.done();
        return true;
      });
}

}  // namespace

// Called by the server's threads.
class EmulatorServer::Handlers {
 public:
  Handlers(const PoolEmulatorConfig& config, FactsTable facts)
      : config_(config), facts_(std::move(facts)) {}

  void Chat(const httplib::Request& http_request, httplib::Response& response) {
    const absl::StatusOr<ChatRequest> request = ParseChatRequest(http_request.body);
    if (!request.ok()) return SendError(400, std::string(request.status().message()), "", response);
    const EmulatedModelConfig* model = FindModel(request->model);
    if (model == nullptr) {
      const std::string message =
          absl::StrCat("the model \"", request->model, "\" is not served here");
      return SendError(404, message, "model_not_found", response);
    }
    const std::string& question = request->last_user_message;
    if (const auto failure = NextFailure(*model, question); failure != EmulatedFailure::kNone) {
      return SendFailure(failure, response);
    }
    absl::SleepFor(ReplyLatency(config_.seed(), *model, question));
    const uint64_t id = StreamKey(config_.seed(), absl::StrCat(model->name(), "\n", question), 2);
    const ChatCompletion completion =
        MakeCompletion(*request, absl::StrFormat("chatcmpl-%016x", id),
                       AnswerMessage(facts_, config_.seed(), *model, question));
    if (request->is_stream) {
      SendEvents(CompletionEvents(completion, request->include_usage), response);
    } else {
      response.set_content(CompletionJson(completion), kJson);
    }
  }

  void Models(httplib::Response& response) const {
    std::vector<std::string> names;
    for (const EmulatedModelConfig& model : config_.models()) names.push_back(model.name());
    response.set_content(ModelsJson(names), kJson);
  }

 private:
  const EmulatedModelConfig* FindModel(std::string_view name) const {
    for (const EmulatedModelConfig& model : config_.models()) {
      if (model.name() == name) return &model;
    }
    return nullptr;
  }

  EmulatedFailure NextFailure(const EmulatedModelConfig& model, const std::string& question) {
    if (model.failure_rate() + model.rate_limit_rate() <= 0) return EmulatedFailure::kNone;
    uint64_t attempt = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (attempts_.size() >= kMaxCountedQuestions) attempts_.clear();
      attempt = ++attempts_[StreamKey(0, absl::StrCat(model.name(), "\n", question), 0)];
    }
    return FailureOfAttempt(config_.seed(), model, question, attempt);
  }

  static void SendFailure(EmulatedFailure failure, httplib::Response& response) {
    if (failure == EmulatedFailure::kUnavailable) {
      return SendError(503, "the model is overloaded; try again", "overloaded", response);
    }
    response.set_header("retry-after-ms", "200");
    response.set_header("Retry-After", "1");
    SendError(429, "too many requests; try again later", "rate_limit_exceeded", response);
  }

  const PoolEmulatorConfig config_;
  const FactsTable facts_;
  absl::Mutex mutex_;
  // Hash of model and question → requests so far, of models that fail at times.
  absl::flat_hash_map<uint64_t, uint64_t> attempts_ ABSL_GUARDED_BY(mutex_);
};

EmulatorServer::EmulatorServer(std::string host, std::unique_ptr<Handlers> handlers)
    : host_(std::move(host)),
      handlers_(std::move(handlers)),
      server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server_->set_keep_alive_max_count(1'000'000);
  server_->set_tcp_nodelay(true);
  server_->set_payload_max_length(kMaxBodyBytes);
  // The library's default, SO_REUSEPORT, would let two emulators share a port, each
  // getting half of the calls.
  server_->set_socket_options([this](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    listen_socket_ = socket;
  });
  server_->Post("/v1/chat/completions",
                [handlers = handlers_.get()](const auto& request, auto& response) {
                  handlers->Chat(request, response);
                });
  server_->Get("/v1/models", [handlers = handlers_.get()](const auto&, auto& response) {
    handlers->Models(response);
  });
  server_->Get("/health", [](const auto&, auto& response) {
    response.set_content(R"({"status":"ok"})", kJson);
  });
  server_->set_error_handler([](const auto&, auto& response) {
    if (response.body.empty())
      SendError(response.status, "there is nothing at this path", "", response);
  });
}

absl::StatusOr<std::unique_ptr<EmulatorServer>> EmulatorServer::Listen(
    const PoolEmulatorConfig& config, FactsTable facts) {
  RW_RETURN_IF_ERROR(CheckConfig(config));
  std::unique_ptr<EmulatorServer> server(new EmulatorServer(
      config.listen_host(), std::make_unique<Handlers>(config, std::move(facts))));
  httplib::Server& http = *server->server_;
  if (config.port() == 0) {
    server->port_ = http.bind_to_any_port(config.listen_host());
  } else if (http.bind_to_port(config.listen_host(), config.port())) {
    server->port_ = config.port();
  }
  if (server->port_ <= 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", config.listen_host(), ":", config.port(),
                     ": the port is in use, or the address is not this machine's; "
                     "choose another with --port, or 0 for a free one"));
  }
  // The library's queue of 5 loses connections when a worker opens dozens at once.
  if (::listen(server->listen_socket_, kThreads) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on port ", server->port_, ": ", std::strerror(errno)));
  }
  if (server->thread_.Start(http)) return server;
  return absl::UnavailableError(
      absl::StrCat("cannot serve on port ", server->port_, ": the listening socket failed"));
}

EmulatorServer::~EmulatorServer() { server_->stop(); }

std::string EmulatorServer::url() const {
  return absl::StrCat("http://", host_, ":", port_, "/v1");
}

}  // namespace routewright
