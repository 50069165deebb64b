#include "rollout_workers/learner_client.h"

#include <grpcpp/grpcpp.h>

#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "proto/learner_service.grpc.pb.h"

namespace switchyard {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
// gRPC's own waits between attempts to connect grow to two minutes; a learner that comes back
// should be found at once.
constexpr int kFirstReconnectMs = 100, kLastReconnectMs = 1000;
// A connection on which nothing comes back for so long is given up for another: TCP's own waits
// between attempts grow to two minutes, and would outlast a break of the network by as much again.
constexpr int kSilenceMs = 10000;

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kSilenceMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kSilenceMs);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

class GrpcLearnerClient final : public LearnerClient {
 public:
  GrpcLearnerClient(const std::string& address, const Secret& token, absl::Duration rpc_timeout)
      : address_(address),
        authorization_(absl::StrCat("Bearer ", token.Reveal())),
        rpc_timeout_(rpc_timeout),
        stub_(LearnerService::NewStub(OpenChannel(address))) {}

  absl::StatusOr<RegisterResponse> Register(const RegisterRequest& request) override {
    return Call<RegisterResponse>(rpc_timeout_,
                                  [&](grpc::ClientContext* context, RegisterResponse* response) {
                                    return stub_->Register(context, request, response);
                                  });
  }
  absl::StatusOr<LeaseResponse> LeaseEpisodes(const LeaseRequest& request) override {
    const absl::Duration timeout = rpc_timeout_ + absl::Milliseconds(request.wait_ms());
    return Call<LeaseResponse>(timeout, [&](grpc::ClientContext* context, LeaseResponse* response) {
      return stub_->LeaseEpisodes(context, request, response);
    });
  }
  absl::StatusOr<SubmitResponse> SubmitTrajectories(const SubmitRequest& request) override {
    return Call<SubmitResponse>(rpc_timeout_,
                                [&](grpc::ClientContext* context, SubmitResponse* response) {
                                  return stub_->SubmitTrajectories(context, request, response);
                                });
  }
  absl::StatusOr<WeightManifest> GetWeightManifest(int64_t policy_version) override {
    WeightManifestRequest request;
    request.set_policy_version(policy_version);
    return Call<WeightManifest>(rpc_timeout_,
                                [&](grpc::ClientContext* context, WeightManifest* response) {
                                  return stub_->GetWeightManifest(context, request, response);
                                });
  }
  absl::Status FetchWeights(const FetchWeightsRequest& request, const TakeChunk& take) override {
    absl::Status taken;
    const auto result =
        Call<WeightChunk>(rpc_timeout_, [&](grpc::ClientContext* context, WeightChunk* chunk) {
          const auto reader = stub_->FetchWeights(context, request);
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
    for (grpc::ClientContext* context : calls_) context->TryCancel();
  }
  absl::Status SubmitOnLeaving(const SubmitRequest& request, absl::Duration timeout) override {
    grpc::ClientContext context;
    Prepare(timeout, context);
    SubmitResponse response;
    return ToAbsl(stub_->SubmitTrajectories(&context, request, &response));
  }

 private:
  // Runs one call under a deadline, where Shutdown finds it.
  template <typename Response, typename Start>
  absl::StatusOr<Response> Call(absl::Duration timeout, const Start& start) {
    grpc::ClientContext context;
    Prepare(timeout, context);
    if (!Enter(&context)) return absl::CancelledError("the worker is leaving");
    Response response;
    const grpc::Status status = start(&context, &response);
    Leave(&context);
    if (!status.ok()) return ToAbsl(status);
    return response;
  }
  void Prepare(absl::Duration timeout, grpc::ClientContext& context) const {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    context.AddMetadata("authorization", authorization_);
  }
  bool Enter(grpc::ClientContext* context) {
    absl::MutexLock lock(&mutex_);
    if (!is_shut_down_) calls_.insert(context);
    return !is_shut_down_;
  }
  void Leave(grpc::ClientContext* context) {
    absl::MutexLock lock(&mutex_);
    calls_.erase(context);
  }
  absl::Status ToAbsl(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    // The two enumerations have the same numbers.
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat("learner at ", address_, ": ", status.error_message()));
  }

  const std::string address_;
  const std::string authorization_;  // never printed
  const absl::Duration rpc_timeout_;
  const std::unique_ptr<LearnerService::Stub> stub_;
  absl::Mutex mutex_;
  bool is_shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);  // under way
};

}  // namespace

std::unique_ptr<LearnerClient> ConnectToLearner(const std::string& address, const Secret& token,
                                                absl::Duration rpc_timeout) {
  return std::make_unique<GrpcLearnerClient>(address, token, rpc_timeout);
}

}  // namespace switchyard
