#include "trainer/rollout_service/rollout_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/config/config_digest.h"
#include "common/config/config_loader.h"
#include "common/file_system.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/secret.h"
#include "common/status_macros.h"
#include "proto/learner_service.grpc.pb.h"
#include "trainer/rollout_service/rollout_desk.h"

namespace routewright {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr absl::Duration kFinishPatience = absl::Seconds(5);

grpc::Status ToGrpc(const absl::Status& status) {
  // The two enumerations have the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(status.message()));
}

// Streams one version's chunks; deletes itself when the call is over.
class WeightStream final : public grpc::ServerWriteReactor<WeightChunk> {
 public:
  WeightStream(const WeightPublisher& publisher, const FetchWeightsRequest& request,
               int chunk_bytes)
      : publisher_(publisher),
        version_(request.policy_version()),
        offset_(request.first_offset()),
        chunk_bytes_(chunk_bytes) {
    WriteNext();
  }
  void OnWriteDone(bool is_ok) override {
    if (!is_ok) return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the worker went away"));
    WriteNext();
  }
  void OnDone() override { delete this; }

 private:
  void WriteNext() {
    absl::StatusOr<WeightChunk> chunk = publisher_.ReadChunk(version_, offset_, chunk_bytes_);
    if (!chunk.ok()) return Finish(ToGrpc(chunk.status()));
    if (chunk->data().empty()) return Finish(grpc::Status::OK);
    chunk_ = *std::move(chunk);
    offset_ += chunk_.data().size();
    StartWrite(&chunk_);
  }

  const WeightPublisher& publisher_;
  const int64_t version_;
  uint64_t offset_;
  const int chunk_bytes_;
  WeightChunk chunk_;  // until its write is done
};

// Streams nothing; deletes itself when the call is over.
class NoStream final : public grpc::ServerWriteReactor<WeightChunk> {
 public:
  explicit NoStream(const absl::Status& why) { Finish(ToGrpc(why)); }
  void OnDone() override { delete this; }
};

class Service final : public LearnerService::CallbackService {
 public:
  Service(RolloutDesk* desk, Secret token, int chunk_bytes)
      : desk_(desk), token_(std::move(token)), chunk_bytes_(chunk_bytes) {}

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const RegisterRequest* request,
                                     RegisterResponse* response) override {
    return Answer<RegisterResponse>(
        context, [&] { return desk_->Register(*request); }, response);
  }
  grpc::ServerUnaryReactor* LeaseEpisodes(grpc::CallbackServerContext* context,
                                          const LeaseRequest* request,
                                          LeaseResponse* response) override {
    const absl::Time received = absl::Now();
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::Status status = CheckToken(*context);
    if (status.ok()) {
      status = desk_->CheckLearnerEpoch(request->worker(), request->learner_epoch());
    }
    if (!status.ok()) {
      reactor->Finish(ToGrpc(status));
      return reactor;
    }
    desk_->Lease(
        *request, /*is_gone=*/[context] { return context->IsCancelled(); },
        [reactor, response, received](LeaseResponse answer) {
          *response = std::move(answer);
          response->set_received_us(absl::ToUnixMicros(received));
          response->set_sent_us(absl::ToUnixMicros(absl::Now()));
          reactor->Finish(grpc::Status::OK);
        });
    return reactor;
  }
  grpc::ServerUnaryReactor* SubmitTrajectories(grpc::CallbackServerContext* context,
                                               const SubmitRequest* request,
                                               SubmitResponse* response) override {
    const auto submit = [&]() -> absl::StatusOr<SubmitResponse> {
      RW_RETURN_IF_ERROR(desk_->CheckLearnerEpoch(request->worker(), request->learner_epoch()));
      return desk_->Submit(*request);
    };
    return Answer<SubmitResponse>(context, submit, response);
  }
  grpc::ServerUnaryReactor* GetWeightManifest(grpc::CallbackServerContext* context,
                                              const WeightManifestRequest* request,
                                              WeightManifest* response) override {
    return Answer<WeightManifest>(
        context, [&] { return desk_->publisher().Manifest(request->policy_version()); }, response);
  }
  grpc::ServerWriteReactor<WeightChunk>* FetchWeights(grpc::CallbackServerContext* context,
                                                      const FetchWeightsRequest* request) override {
    if (const absl::Status status = CheckToken(*context); !status.ok()) return new NoStream(status);
    return new WeightStream(desk_->publisher(), *request, chunk_bytes_);
  }

 private:
  // What every handler asks first: nothing of a stranger's request is looked at.
  absl::Status CheckToken(const grpc::CallbackServerContext& context) const {
    const auto found = context.client_metadata().find("authorization");
    if (found != context.client_metadata().end() &&
        IsAuthorizedBy(token_, {found->second.data(), found->second.size()})) {
      return absl::OkStatus();
    }
    return absl::UnauthenticatedError(
        "this is not the run's token, which is in <run folder>/learner.token (worker "
        "--token-file)");
  }

  template <typename Response>
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   absl::FunctionRef<absl::StatusOr<Response>()> handle,
                                   Response* response) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::Status status = CheckToken(*context);
    if (status.ok()) {
      absl::StatusOr<Response> answer = handle();
      status = answer.status();
      if (answer.ok()) *response = *std::move(answer);
    }
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  RolloutDesk* const desk_;  // outlives the service
  const Secret token_;
  const int chunk_bytes_;
};

class RolloutService final : public TrajectorySource {
 public:
  // `journal` may be null.
  RolloutService(RolloutDeskOptions options, std::unique_ptr<TrajectoryJournal> journal,
                 Secret token, int chunk_bytes)
      : journal_(std::move(journal)),
        desk_((options.journal = journal_.get(), options)),
        service_(&desk_, std::move(token), chunk_bytes) {}
  ~RolloutService() override {
    if (server_ != nullptr)
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }

  // Returns host:port in use.
  absl::StatusOr<std::string> Listen(const std::string& address) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address,
                       ": the address is in use or not of this host; set "
                       "trainer.rollout_service.listen_address (port 0 picks a free one)"));
    }
    return absl::StrCat(ReachableHost(address.substr(0, address.rfind(':'))), ":", port);
  }

  absl::Status PublishWeights(int64_t policy_version,
                              std::shared_ptr<const PolicyWeights> weights) override {
    desk_.publisher().Publish(policy_version, std::move(weights));
    return absl::OkStatus();
  }
  void RetireWeights() override { desk_.publisher().Retire(); }
  absl::StatusOr<CollectedStep> CollectStep(
      const StepPlan& plan,
      const std::function<bool(const CollectProgress&)>& should_go_on) override {
    return desk_.CollectStep(plan, should_go_on);
  }
  WorkersView ViewWorkers() const override { return desk_.ViewWorkers(); }
  absl::Status ForgetBefore(int64_t step) override {
    return journal_ != nullptr ? journal_->ForgetBefore(step) : absl::OkStatus();
  }
  absl::Status Finish() override {
    desk_.Finish(kFinishPatience);
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<TrajectoryJournal> journal_;
  RolloutDesk desk_;
  Service service_;
  std::unique_ptr<grpc::Server> server_;  // last: dies first
};

}  // namespace

std::string GrpcLibraryVersion() { return absl::StrCat("gRPC ", grpc::Version()); }

absl::StatusOr<std::unique_ptr<TrajectorySource>> StartRolloutService(const RunConfig& config,
                                                                      int64_t vocabulary_size) {
  const RolloutServiceConfig& service_config = config.trainer().rollout_service();
  RolloutDeskOptions options;
  options.run_name = config.run().name();
  RW_ASSIGN_OR_RETURN(options.config_digest, WorkerConfigDigest(config));
  options.vocabulary_size = vocabulary_size;
  options.lease_timeout = absl::Seconds(service_config.lease_timeout_s());
  options.max_attempts = config.episode().max_attempts();
  std::unique_ptr<TrajectoryJournal> journal;
  if (service_config.journal()) {
    journal =
        std::make_unique<TrajectoryJournal>(FileSystem::Posix(), RunFolder(config) + "/journal");
  }
  RW_RETURN_IF_ERROR(FileSystem::Posix().CreateFolders(RunFolder(config)));
  RW_ASSIGN_OR_RETURN(Secret token, LoadOrMakeSharedSecret(LearnerTokenFile(config)));
  auto service = std::make_unique<RolloutService>(options, std::move(journal), std::move(token),
                                                  service_config.weight_chunk_bytes());
  RW_ASSIGN_OR_RETURN(const std::string address, service->Listen(service_config.listen_address()));
  const std::string path = LearnerAddressFile(config);
  RW_RETURN_IF_ERROR(WriteFileAtomically(FileSystem::Posix(), path, absl::StrCat(address, "\n")));
  LogInfo("rollout service listens address=", address, " file=", path);
  return service;
}

}  // namespace routewright
