// FakeLearner behind gRPC, on a port of its own.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/learner_service.grpc.pb.h"
#include "tests/rollout_workers/worker/learner_fake.h"

namespace routewright {

class FakeLearnerService final : public LearnerService::Service {
 public:
  explicit FakeLearnerService(FakeLearner* learner) : learner_(learner) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeLearnerService() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  grpc::Status Register(grpc::ServerContext*, const RegisterRequest* request,
                        RegisterResponse* response) override {
    return Answer(learner_->Register(*request), response);
  }
  grpc::Status LeaseEpisodes(grpc::ServerContext* context, const LeaseRequest* request,
                             LeaseResponse* response) override {
    return Answer(learner_->Lease(*request, [context] { return context->IsCancelled(); }),
                  response);
  }
  grpc::Status SubmitTrajectories(grpc::ServerContext*, const SubmitRequest* request,
                                  SubmitResponse* response) override {
    return Answer(learner_->Submit(*request), response);
  }
  grpc::Status GetWeightManifest(grpc::ServerContext*, const WeightManifestRequest* request,
                                 WeightManifest* response) override {
    return Answer(learner_->Manifest(request->policy_version()), response);
  }
  grpc::Status FetchWeights(grpc::ServerContext*, const FetchWeightsRequest* request,
                            grpc::ServerWriter<WeightChunk>* writer) override {
    return ToGrpc(learner_->Stream(
        *request, [writer](const WeightChunk& chunk) { return writer->Write(chunk); }));
  }

 private:
  static grpc::Status ToGrpc(const absl::Status& status) {
    return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                        std::string(status.message()));
  }
  template <typename T>
  static grpc::Status Answer(absl::StatusOr<T> answer, T* response) {
    if (answer.ok()) *response = *std::move(answer);
    return ToGrpc(answer.status());
  }

  FakeLearner* const learner_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace routewright
