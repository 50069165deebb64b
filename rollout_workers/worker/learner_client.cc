#include "rollout_workers/worker/learner_client.h"

#include <grpcpp/grpcpp.h>

#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "proto/learner_service.grpc.pb.h"
#include "rollout_workers/worker/learner_retry.h"

namespace routewright {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
// gRPC's own waits between attempts to connect grow to two minutes; a learner that comes back
// should be found at once.
constexpr int kFirstReconnectMs = 100, kLastReconnectMs = 1000;
// A connection on which nothing comes back for so long is given up for another: TCP's own waits
// between attempts grow to two minutes, and would outlast a break of the network by as much again.
constexpr int kSilenceMs = 10000;
// A learner that was started again is found within this time, whatever becomes of the one before.
constexpr absl::Duration kAddressCheckEvery = absl::Milliseconds(500);

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // The learner is in the workers' own network: a proxy to the world ($http_proxy) cannot know it.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kSilenceMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kSilenceMs);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// With the learner at one address. All but the first two belong to the client's mutex.
struct Connection {
  explicit Connection(const std::string& address)
      : address(address), stub(LearnerService::NewStub(OpenChannel(address))) {}
  const std::string address;
  const std::unique_ptr<LearnerService::Stub> stub;
  std::set<grpc::ClientContext*> calls;  // under way
  bool is_left = false;                  // for good: the learner is elsewhere
};

class GrpcLearnerClient final : public LearnerClient {
 public:
  GrpcLearnerClient(LearnerAddress address, const Secret& token, absl::Duration rpc_timeout)
      : address_(std::move(address)),
        authorization_(BearerAuthorization(token)),
        rpc_timeout_(rpc_timeout),
        watch_([this](std::stop_token stop) { WatchAddress(stop); }) {}

  absl::StatusOr<RegisterResponse> Register(const RegisterRequest& request) override {
    RW_RETURN_IF_ERROR(Connect().status());
    return Call<RegisterResponse>(
        rpc_timeout_, [&](auto& stub, grpc::ClientContext* context, RegisterResponse* response) {
          return stub.Register(context, request, response);
        });
  }
  absl::StatusOr<LeaseResponse> LeaseEpisodes(const LeaseRequest& request) override {
    const absl::Duration timeout = rpc_timeout_ + absl::Milliseconds(request.wait_ms());
    return Call<LeaseResponse>(
        timeout, [&](auto& stub, grpc::ClientContext* context, LeaseResponse* response) {
          return stub.LeaseEpisodes(context, request, response);
        });
  }
  absl::StatusOr<SubmitResponse> SubmitTrajectories(const SubmitRequest& request) override {
    return Call<SubmitResponse>(
        rpc_timeout_, [&](auto& stub, grpc::ClientContext* context, SubmitResponse* response) {
          return stub.SubmitTrajectories(context, request, response);
        });
  }
  absl::StatusOr<WeightManifest> GetWeightManifest(int64_t policy_version) override {
    WeightManifestRequest request;
    request.set_policy_version(policy_version);
    return Call<WeightManifest>(
        rpc_timeout_, [&](auto& stub, grpc::ClientContext* context, WeightManifest* response) {
          return stub.GetWeightManifest(context, request, response);
        });
  }
  absl::Status FetchWeights(const FetchWeightsRequest& request, const TakeChunk& take) override {
    absl::Status taken;
    const auto result = Call<WeightChunk>(
        rpc_timeout_, [&](auto& stub, grpc::ClientContext* context, WeightChunk* chunk) {
          const auto reader = stub.FetchWeights(context, request);
          while (reader->Read(chunk)) {
            taken = take(*chunk);
            if (!taken.ok()) context->TryCancel();
            if (!taken.ok()) break;
          }
          return reader->Finish();
        });
    return taken.ok() ? result.status() : taken;
  }

  void Shutdown() override {
    absl::MutexLock lock(&mutex_);
    is_shut_down_ = true;
    if (connection_ != nullptr) CancelCalls(*connection_);
  }
  absl::Status SubmitOnLeaving(const SubmitRequest& request, absl::Duration timeout) override {
    RW_ASSIGN_OR_RETURN(const std::shared_ptr<Connection> connection, CurrentConnection());
    grpc::ClientContext context;
    Prepare(timeout, context);
    SubmitResponse response;
    return ToAbsl(*connection, connection->stub->SubmitTrajectories(&context, request, &response));
  }

 private:
  // Goes to where the learner is now; while nobody knows, to where it was.
  absl::StatusOr<std::shared_ptr<Connection>> Connect() {
    const absl::StatusOr<std::string> found = address_();
    absl::MutexLock lock(&mutex_);
    if (!found.ok() && connection_ == nullptr) return found.status();
    const std::string address = found.ok() ? *found : connection_->address;
    if (connection_ != nullptr) {
      if (connection_->address == address && !connection_->is_left) return connection_;
      if (connection_->address != address)
        LogInfo("the learner is at ", address, ", no longer at ", connection_->address);
      LeaveConnection();
    }
    connection_ = std::make_shared<Connection>(address);
    return connection_;
  }
  absl::StatusOr<std::shared_ptr<Connection>> CurrentConnection() {
    {
      absl::MutexLock lock(&mutex_);
      if (connection_ != nullptr) return connection_;
    }
    return Connect();
  }
  // A learner whose host was cut off answers slowly or never, or answers though another has
  // replaced it: what counts is where the run's learner says that it is.
  void WatchAddress(std::stop_token stop) {
    while (!stop.stop_requested()) {
      PauseUnlessStopped(kAddressCheckEvery, stop);
      const absl::StatusOr<std::string> address = address_();
      if (!address.ok()) continue;  // one is being started
      absl::MutexLock lock(&mutex_);
      if (connection_ == nullptr || connection_->address == *address) continue;
      LeaveConnection();
    }
  }
  // For good: calls that are about to start on it, or are about to end, must know.
  void LeaveConnection() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    connection_->is_left = true;
    CancelCalls(*connection_);
  }
  static void CancelCalls(const Connection& connection) {
    for (grpc::ClientContext* context : connection.calls) context->TryCancel();
  }

  // Runs one call under a deadline, where Shutdown and WatchAddress find it.
  template <typename Response, typename Start>
  absl::StatusOr<Response> Call(absl::Duration timeout, const Start& start) {
    RW_ASSIGN_OR_RETURN(const std::shared_ptr<Connection> connection, CurrentConnection());
    grpc::ClientContext context;
    Prepare(timeout, context);
    RW_RETURN_IF_ERROR(Enter(*connection, &context));
    Response response;
    const grpc::Status status = start(*connection->stub, &context, &response);
    RW_RETURN_IF_ERROR(Leave(*connection, &context, status));
    return response;
  }
  void Prepare(absl::Duration timeout, grpc::ClientContext& context) const {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    context.AddMetadata("authorization", authorization_);
  }
  absl::Status Enter(Connection& connection, grpc::ClientContext* context) {
    absl::MutexLock lock(&mutex_);
    if (is_shut_down_) return absl::CancelledError("the worker is leaving");
    if (connection.is_left) return IsElsewhere(connection);
    connection.calls.insert(context);
    return absl::OkStatus();
  }
  absl::Status Leave(Connection& connection, grpc::ClientContext* context,
                     const grpc::Status& status) {
    absl::MutexLock lock(&mutex_);
    connection.calls.erase(context);
    return !status.ok() && connection.is_left && !is_shut_down_ ? IsElsewhere(connection)
                                                                : ToAbsl(connection, status);
  }
  static absl::Status IsElsewhere(const Connection& connection) {
    return absl::UnavailableError(absl::StrCat("the learner is no longer at ", connection.address));
  }
  static absl::Status ToAbsl(const Connection& connection, const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    // The two enumerations have the same numbers.
    return absl::Status(
        static_cast<absl::StatusCode>(status.error_code()),
        absl::StrCat("learner at ", connection.address, ": ", status.error_message()));
  }

  const LearnerAddress address_;
  const std::string authorization_;  // never printed
  const absl::Duration rpc_timeout_;
  absl::Mutex mutex_;
  bool is_shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mutex_);
  std::jthread watch_;  // last: it uses the others
};

}  // namespace

std::unique_ptr<LearnerClient> ConnectToLearner(LearnerAddress address, const Secret& token,
                                                absl::Duration rpc_timeout) {
  return std::make_unique<GrpcLearnerClient>(std::move(address), token, rpc_timeout);
}

}  // namespace routewright
