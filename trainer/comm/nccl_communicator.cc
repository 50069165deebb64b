#include "trainer/comm/nccl_communicator.h"

#include <cuda_runtime.h>
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "trainer/comm/mpi_communicator.h"

namespace switchyard {
namespace {

// The stream that LibTorch computes on, unless told otherwise: CUDA's default stream.
constexpr cudaStream_t kComputeStream = nullptr;

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

// A collective that was enqueued on a communicator's stream; `event` follows it. Owned by its
// handle and, until it is complete, by the watch.
struct Enqueued {
  Operation operation;
  ncclComm_t comm = nullptr;
  cudaEvent_t event = nullptr;
  absl::Time deadline;

  ~Enqueued() {
    if (event != nullptr) cudaEventDestroy(event);
  }
  // kOk: complete; kUnknown: not yet; else failed.
  absl::Status Query() const {
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaSuccess) return absl::OkStatus();
    if (state != cudaErrorNotReady) return CudaStatus(state, operation.name.c_str());
    ncclResult_t async = ncclSuccess;
    SY_RETURN_IF_ERROR(NcclStatus(ncclCommGetAsyncError(comm, &async), "ncclCommGetAsyncError"));
    SY_RETURN_IF_ERROR(NcclStatus(async, operation.name.c_str()));
    return absl::UnknownError("not yet");
  }
};

// Looks after everything that was enqueued, on a thread of its own, since the computing thread
// enqueues far ahead and waits for little: notes what is complete in the log, and ends the job when
// a collective fails or its deadline passes.
class NcclWatch {
 public:
  NcclWatch(std::shared_ptr<MpiThread> mpi, int device)
      : mpi_(std::move(mpi)), thread_([this, device](std::stop_token stop) {
          cudaSetDevice(device);
          Run(stop);
        }) {}
  ~NcclWatch() {
    thread_.request_stop();
    thread_.join();
  }
  MpiThread& mpi() { return *mpi_; }
  void Add(std::shared_ptr<const Enqueued> enqueued) {
    absl::MutexLock lock(&mutex_);
    enqueued_.push_back(std::move(enqueued));
  }
  // Nothing of `comm` is looked at any more.
  void Forget(ncclComm_t comm) {
    absl::MutexLock lock(&mutex_);
    std::erase_if(enqueued_, [&](const auto& enqueued) { return enqueued->comm == comm; });
  }

 private:
  void Run(std::stop_token stop) {
    while (!stop.stop_requested()) {
      {
        absl::MutexLock lock(&mutex_);
        std::erase_if(enqueued_, [this](const auto& enqueued) { return IsOver(*enqueued); });
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  bool IsOver(const Enqueued& enqueued) {
    absl::Status status = enqueued.Query();
    if (status.ok()) {
      mpi_->log().Finish(enqueued.operation.sequence);
      return true;
    }
    if (absl::IsUnknown(status)) {
      if (absl::Now() < enqueued.deadline) return false;
      status = absl::DeadlineExceededError("it was not complete in time");
    }
    mpi_->Fail(absl::Status(status.code(), absl::StrCat("'", enqueued.operation.name, "' failed: ",
                                                        std::string(status.message()))),
               enqueued.operation);
    return true;
  }

  const std::shared_ptr<MpiThread> mpi_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<const Enqueued>> enqueued_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: dies first
};

class NcclCollective final : public Collective {
 public:
  NcclCollective(absl::Status started, std::shared_ptr<const Enqueued> enqueued)
      : started_(std::move(started)), enqueued_(std::move(enqueued)) {}
  absl::Status Wait() override {
    SY_RETURN_IF_ERROR(started_);
    while (true) {
      const absl::Status status = enqueued_->Query();  // the watch keeps the deadline
      if (!absl::IsUnknown(status)) return status;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  absl::Status WaitBeforeCompute() override {
    SY_RETURN_IF_ERROR(started_);
    return CudaStatus(cudaStreamWaitEvent(kComputeStream, enqueued_->event, /*flags=*/0),
                      "cudaStreamWaitEvent");
  }

 private:
  const absl::Status started_;
  const std::shared_ptr<const Enqueued> enqueued_;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, std::shared_ptr<NcclWatch> watch,
                   absl::Duration deadline)
      : host_(std::move(host)), watch_(std::move(watch)), deadline_(deadline) {}
  ~NcclCommunicator() override {
    if (comm_ != nullptr) {
      watch_->Forget(comm_);
      ncclCommFinalize(comm_);
      (void)WaitUntilReady(comm_, absl::Now() + absl::Seconds(10), "ncclCommFinalize");
      ncclCommDestroy(comm_);
    }
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  absl::Status Init(std::shared_ptr<MpiThread> thread);
  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  int local_rank() const override { return host_->local_rank(); }
  int local_size() const override { return host_->local_size(); }

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    if (!buffer.is_on_gpu) return host_->AllReduceSum(name, buffer);
    return Start(name, buffer, [&] {
      return ncclAllReduce(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), ncclSum, comm_,
                           stream_);
    });
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override {
    if (!buffer.is_on_gpu) return host_->Broadcast(name, buffer, root);
    return Start(name, buffer, [&] {
      return ncclBroadcast(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), root, comm_,
                           stream_);
    });
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    if (!all.is_on_gpu) return host_->AllGather(name, mine, all);
    return Start(name, all, [&] {
      return ncclAllGather(/*sendbuff=*/mine.data, /*recvbuff=*/all.data,
                           /*sendcount=*/mine.num_elements, NcclType(mine.type), comm_, stream_);
    });
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (!all.is_on_gpu) return host_->ReduceScatterSum(name, all, mine);
    return Start(name, all, [&] {
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
  // Orders the collective after what the compute stream has been given so far.
  template <typename Call>
  std::unique_ptr<Collective> Start(std::string_view name, const CommBuffer& buffer, Call call) {
    auto enqueued = std::make_shared<Enqueued>();
    OperationLog& log = watch_->mpi().log();
    const int64_t bytes = buffer.num_elements * static_cast<int64_t>(CommTypeBytes(buffer.type));
    enqueued->operation.name = name;
    enqueued->operation.sequence = log.Ask(name, bytes, size());
    enqueued->comm = comm_;
    enqueued->deadline = absl::Now() + deadline_;
    const auto start = [&]() -> absl::Status {
      const std::string& what = enqueued->operation.name;
      cudaEvent_t& event = enqueued->event;
      SY_RETURN_IF_ERROR(
          CudaStatus(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate"));
      SY_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(event, kComputeStream), "cudaEventRecord"));
      SY_RETURN_IF_ERROR(
          CudaStatus(cudaStreamWaitEvent(stream_, event, /*flags=*/0), "cudaStreamWaitEvent"));
      SY_RETURN_IF_ERROR(NcclStatus(call(), what.c_str()));
      SY_RETURN_IF_ERROR(WaitUntilReady(comm_, enqueued->deadline, what));
      return CudaStatus(cudaEventRecord(event, stream_), "cudaEventRecord");
    };
    absl::Status started = start();
    if (started.ok()) {
      log.Enter(enqueued->operation.sequence);
      watch_->Add(enqueued);
    } else {
      watch_->mpi().Fail(started, enqueued->operation);
    }
    return std::make_unique<NcclCollective>(std::move(started), std::move(enqueued));
  }

  const std::unique_ptr<Communicator> host_;
  std::shared_ptr<NcclWatch> watch_;  // of this process, from Init on
  const absl::Duration deadline_;
  cudaStream_t stream_ = nullptr;
  ncclComm_t comm_ = nullptr;
};

absl::Status NcclCommunicator::Init(std::shared_ptr<MpiThread> thread) {
  int num_gpus = 0;
  SY_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceCount(&num_gpus), "cudaGetDeviceCount"));
  if (num_gpus == 0) return absl::UnavailableError("NCCL needs a GPU and none is visible");
  const int device = local_rank() % num_gpus;
  SY_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device), "cudaSetDevice"));
  watch_ = std::make_shared<NcclWatch>(std::move(thread), device);
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
  auto group = std::make_unique<NcclCommunicator>(std::move(host), watch_, deadline_);
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

absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(std::shared_ptr<MpiThread> thread,
                                                                  absl::Duration deadline) {
  auto communicator = std::make_unique<NcclCommunicator>(NewMpiCommunicator(thread),
                                                         /*watch=*/nullptr, deadline);
  SY_RETURN_IF_ERROR(communicator->Init(std::move(thread)));
  return communicator;
}

}  // namespace switchyard
