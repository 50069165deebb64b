#include "trainer/comm/nccl_communicator.h"

#include <cuda_runtime.h>
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace switchyard {
namespace {

absl::Status CudaStatus(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(call, " failed: ", cudaGetErrorString(code)));
}

absl::Status NcclStatus(ncclResult_t code, const char* call) {
  if (code == ncclSuccess || code == ncclInProgress) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(call, " failed: ", ncclGetErrorString(code)));
}

ncclDataType_t NcclType(CommType type) {
  switch (type) {
    case CommType::kFloat32:
      return ncclFloat32;
    case CommType::kFloat64:
      return ncclFloat64;
    case CommType::kInt64:
      return ncclInt64;
    case CommType::kByte:
      return ncclUint8;
  }
  return ncclUint8;
}

// Polls a non-blocking communicator until it has taken in the last call.
absl::Status WaitUntilReady(ncclComm_t comm, absl::Time deadline, const std::string& what) {
  while (true) {
    ncclResult_t state = ncclSuccess;
    SY_RETURN_IF_ERROR(NcclStatus(ncclCommGetAsyncError(comm, &state), "ncclCommGetAsyncError"));
    if (state == ncclSuccess) return absl::OkStatus();
    if (state != ncclInProgress) {
      return absl::UnavailableError(absl::StrCat(what, " failed: ", ncclGetErrorString(state)));
    }
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat(what, " was not complete in time"));
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

// A collective that was enqueued on the communicator's stream; `event` follows it.
class NcclCollective final : public Collective {
 public:
  NcclCollective(std::string name, absl::Status started, ncclComm_t comm, cudaEvent_t event,
                 absl::Duration deadline)
      : name_(std::move(name)),
        started_(std::move(started)),
        comm_(comm),
        event_(event),
        deadline_(absl::Now() + deadline) {}
  ~NcclCollective() override {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  absl::Status Wait() override {
    SY_RETURN_IF_ERROR(started_);
    while (true) {
      const cudaError_t state = cudaEventQuery(event_);
      if (state == cudaSuccess) return absl::OkStatus();
      if (state != cudaErrorNotReady) return CudaStatus(state, name_.c_str());
      ncclResult_t async = ncclSuccess;
      SY_RETURN_IF_ERROR(NcclStatus(ncclCommGetAsyncError(comm_, &async), "ncclCommGetAsyncError"));
      SY_RETURN_IF_ERROR(NcclStatus(async, name_.c_str()));
      if (absl::Now() > deadline_) {
        return absl::DeadlineExceededError(absl::StrCat("collective '", name_,
                                                        "' was not complete in time: a peer is "
                                                        "dead, stopped or has not entered it"));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

 private:
  const std::string name_;
  const absl::Status started_;
  const ncclComm_t comm_;
  cudaEvent_t event_;
  const absl::Time deadline_;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, absl::Duration deadline)
      : host_(std::move(host)), deadline_(deadline) {}
  ~NcclCommunicator() override {
    if (comm_ != nullptr) {
      ncclCommFinalize(comm_);
      (void)WaitUntilReady(comm_, absl::Now() + absl::Seconds(10), "ncclCommFinalize");
      ncclCommDestroy(comm_);
    }
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  absl::Status Init();
  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  int local_rank() const override { return host_->local_rank(); }
  int local_size() const override { return host_->local_size(); }

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    if (!buffer.is_on_gpu) return host_->AllReduceSum(name, buffer);
    return Start(name, [&] {
      return ncclAllReduce(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), ncclSum, comm_,
                           stream_);
    });
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override {
    if (!buffer.is_on_gpu) return host_->Broadcast(name, buffer, root);
    return Start(name, [&] {
      return ncclBroadcast(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), root, comm_,
                           stream_);
    });
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    if (!all.is_on_gpu) return host_->AllGather(name, mine, all);
    return Start(name, [&] {
      return ncclAllGather(/*sendbuff=*/mine.data, /*recvbuff=*/all.data,
                           /*sendcount=*/mine.num_elements, NcclType(mine.type), comm_, stream_);
    });
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (!all.is_on_gpu) return host_->ReduceScatterSum(name, all, mine);
    return Start(name, [&] {
      return ncclReduceScatter(/*sendbuff=*/all.data, /*recvbuff=*/mine.data,
                               /*recvcount=*/mine.num_elements, NcclType(mine.type), ncclSum, comm_,
                               stream_);
    });
  }
  std::unique_ptr<Collective> Barrier(std::string_view name) override {
    return host_->Barrier(name);
  }

  [[noreturn]] void Abort(const absl::Status& why) override {
    if (comm_ != nullptr) ncclCommAbort(comm_);
    host_->Abort(why);
    std::abort();  // the declared type of host_ is [[noreturn]] through a virtual call, which g++
                   // does not see
  }

 private:
  // Orders the collective after what the compute (default) stream has enqueued so far.
  template <typename Call>
  std::unique_ptr<Collective> Start(std::string_view name, Call call) {
    cudaEvent_t event = nullptr;
    const auto start = [&]() -> absl::Status {
      SY_RETURN_IF_ERROR(
          CudaStatus(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate"));
      SY_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(event, /*stream=*/nullptr), "cudaEventRecord"));
      SY_RETURN_IF_ERROR(
          CudaStatus(cudaStreamWaitEvent(stream_, event, /*flags=*/0), "cudaStreamWaitEvent"));
      SY_RETURN_IF_ERROR(NcclStatus(call(), std::string(name).c_str()));
      SY_RETURN_IF_ERROR(WaitUntilReady(comm_, absl::Now() + deadline_, std::string(name)));
      return CudaStatus(cudaEventRecord(event, stream_), "cudaEventRecord");
    };
    absl::Status started = start();
    return std::make_unique<NcclCollective>(std::string(name), std::move(started), comm_, event,
                                            deadline_);
  }

  std::unique_ptr<Communicator> host_;
  const absl::Duration deadline_;
  cudaStream_t stream_ = nullptr;
  ncclComm_t comm_ = nullptr;
};

absl::Status NcclCommunicator::Init() {
  int num_gpus = 0;
  SY_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceCount(&num_gpus), "cudaGetDeviceCount"));
  if (num_gpus == 0) return absl::UnavailableError("NCCL needs a GPU and none is visible");
  SY_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(local_rank() % num_gpus), "cudaSetDevice"));
  SY_RETURN_IF_ERROR(CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                                "cudaStreamCreateWithFlags"));
  ncclUniqueId id;
  if (rank() == 0) SY_RETURN_IF_ERROR(NcclStatus(ncclGetUniqueId(&id), "ncclGetUniqueId"));
  SY_RETURN_IF_ERROR(
      host_
          ->Broadcast("nccl id", {.data = &id, .num_elements = sizeof(id), .type = CommType::kByte},
                      0)
          ->Wait());
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  SY_RETURN_IF_ERROR(NcclStatus(ncclCommInitRankConfig(&comm_, size(), id, rank(), &config),
                                "ncclCommInitRankConfig"));
  return WaitUntilReady(comm_, absl::Now() + deadline_, "ncclCommInitRankConfig");
}

absl::StatusOr<std::unique_ptr<Communicator>> NcclCommunicator::Split(std::string_view name,
                                                                      int color) {
  SY_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> host, host_->Split(name, color));
  auto group = std::make_unique<NcclCommunicator>(std::move(host), deadline_);
  SY_RETURN_IF_ERROR(CudaStatus(cudaStreamCreateWithFlags(&group->stream_, cudaStreamNonBlocking),
                                "cudaStreamCreateWithFlags"));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  SY_RETURN_IF_ERROR(NcclStatus(ncclCommSplit(comm_, color, /*key=*/rank(), &group->comm_, &config),
                                "ncclCommSplit"));
  const absl::Time deadline = absl::Now() + deadline_;
  SY_RETURN_IF_ERROR(WaitUntilReady(comm_, deadline, "ncclCommSplit"));
  SY_RETURN_IF_ERROR(WaitUntilReady(group->comm_, deadline, "ncclCommSplit"));
  return group;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(
    std::unique_ptr<Communicator> host, absl::Duration deadline) {
  auto communicator = std::make_unique<NcclCommunicator>(std::move(host), deadline);
  SY_RETURN_IF_ERROR(communicator->Init());
  return communicator;
}

}  // namespace switchyard
