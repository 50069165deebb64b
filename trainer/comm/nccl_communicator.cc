#include "trainer/comm/nccl_communicator.h"

#include <cuda_runtime.h>
#include <nccl.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "trainer/comm/gpu_check.h"
#include "trainer/comm/libraries.h"
#include "trainer/comm/mpi_communicator.h"
#include "trainer/comm/nccl_watch.h"

namespace routewright {
namespace {

// The stream that LibTorch computes on, unless told otherwise: CUDA's default stream.
constexpr cudaStream_t kComputeStream = nullptr;

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

class NcclCollective final : public Collective {
 public:
  NcclCollective(std::shared_ptr<NcclWatch> watch, std::shared_ptr<const NcclOperation> operation)
      : watch_(std::move(watch)), operation_(std::move(operation)) {}
  absl::Status Wait() override {
    absl::Status status = operation_->Query();  // the watch keeps the deadline
    while (absl::IsUnknown(status)) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      status = operation_->Query();
    }
    if (!status.ok()) watch_->End(*operation_, status);
    return absl::OkStatus();
  }
  absl::Status WaitBeforeCompute() override {
    const absl::Status status =
        CudaStatus(cudaStreamWaitEvent(kComputeStream, operation_->done.get(), /*flags=*/0),
                   "cudaStreamWaitEvent");
    if (!status.ok()) watch_->End(*operation_, status);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<NcclWatch> watch_;                // with the communicators
  const std::shared_ptr<const NcclOperation> operation_;  // with the watch
};

class NcclCommunicator final : public Communicator {
 public:
  // `watch`: of this process, nullptr until Init makes it; shared with the groups split off.
  NcclCommunicator(std::unique_ptr<Communicator> host, std::shared_ptr<NcclWatch> watch)
      : host_(std::move(host)), watch_(std::move(watch)) {}
  ~NcclCommunicator() override {
    // What is pending, or a communicator that is not ready, would be waited for for ever.
    if (watch_ != nullptr && watch_->Forget(*comm_)) {
      comm_->Close();
    } else {
      comm_->Abort();
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
    return Start(name, buffer, [&](ncclComm_t comm) {
      return ncclAllReduce(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), ncclSum, comm,
                           stream_);
    });
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override {
    if (!buffer.is_on_gpu) return host_->Broadcast(name, buffer, root);
    return Start(name, buffer, [&](ncclComm_t comm) {
      return ncclBroadcast(/*sendbuff=*/buffer.data, /*recvbuff=*/buffer.data,
                           /*count=*/buffer.num_elements, NcclType(buffer.type), root, comm,
                           stream_);
    });
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    if (!all.is_on_gpu) return host_->AllGather(name, mine, all);
    return Start(name, all, [&](ncclComm_t comm) {
      return ncclAllGather(/*sendbuff=*/mine.data, /*recvbuff=*/all.data,
                           /*sendcount=*/mine.num_elements, NcclType(mine.type), comm, stream_);
    });
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    if (!all.is_on_gpu) return host_->ReduceScatterSum(name, all, mine);
    return Start(name, all, [&](ncclComm_t comm) {
      return ncclReduceScatter(/*sendbuff=*/all.data, /*recvbuff=*/mine.data,
                               /*recvcount=*/mine.num_elements, NcclType(mine.type), ncclSum, comm,
                               stream_);
    });
  }
  std::unique_ptr<Collective> Barrier(std::string_view name) override {
    return host_->Barrier(name);
  }

  void BeginStep(int64_t step) override { host_->BeginStep(step); }
  [[noreturn]] void Abort(const absl::Status& why) override {
    host_->Abort(why);  // the watch aborts the communicators
    std::abort();  // the declared type of host_ is [[noreturn]] through a virtual call, which g++
                   // does not see
  }

 private:
  // An operation of this communicator's, in the log, not yet under watch.
  std::shared_ptr<NcclOperation> Ask(std::string_view name, int64_t bytes) {
    auto operation = std::make_shared<NcclOperation>();
    operation->name = name;
    operation->sequence = watch_->mpi().log().Ask(name, bytes, world_ranks_);
    operation->comm = comm_;
    return operation;
  }

  template <typename Call>
  std::unique_ptr<Collective> Start(std::string_view name, const CommBuffer& buffer, Call call) {
    const auto width = static_cast<int64_t>(CommTypeBytes(buffer.type));
    const auto operation = Ask(name, buffer.num_elements * width);
    const absl::Status status = Enqueue(operation, call);
    if (!status.ok()) watch_->End(*operation, status);
    return std::make_unique<NcclCollective>(watch_, operation);
  }

  // Orders the collective after what the compute stream has been given so far.
  template <typename Call>
  absl::Status Enqueue(const std::shared_ptr<NcclOperation>& operation, Call call) {
    RW_RETURN_IF_ERROR(NewCudaEvent(&operation->ready));
    RW_RETURN_IF_ERROR(NewCudaEvent(&operation->done));
    const cudaEvent_t ready = operation->ready.get();
    RW_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(ready, kComputeStream), "cudaEventRecord"));
    RW_RETURN_IF_ERROR(
        CudaStatus(cudaStreamWaitEvent(stream_, ready, /*flags=*/0), "cudaStreamWaitEvent"));
    watch_->Add(operation);
    RW_RETURN_IF_ERROR(comm_->Do("NCCL", call));
    RW_RETURN_IF_ERROR(comm_->AwaitTakenIn());
    RW_RETURN_IF_ERROR(
        CudaStatus(cudaEventRecord(operation->done.get(), stream_), "cudaEventRecord"));
    operation->is_taken_in = true;
    return absl::OkStatus();
  }

  absl::StatusOr<int> TakeGpu();
  absl::Status MakeStream();
  absl::Status Join();
  absl::Status SplitInto(NcclCommunicator& group, int color);

  const std::unique_ptr<Communicator> host_;
  std::shared_ptr<NcclWatch> watch_;
  const std::shared_ptr<NcclComm> comm_ = std::make_shared<NcclComm>();  // with the watch
  std::vector<int> world_ranks_;
  cudaStream_t stream_ = nullptr;
};

// The number of this rank's GPU. Fails on every rank if it fails on one.
absl::StatusOr<int> NcclCommunicator::TakeGpu() {
  constexpr int kNameBytes = 48;
  std::vector<char> names(size() * kNameBytes);  // one of each rank
  char* mine = names.data() + rank() * kNameBytes;
  int num_gpus = 0, device = 0;
  absl::Status status = CudaStatus(cudaGetDeviceCount(&num_gpus), "cudaGetDeviceCount");
  if (status.ok() && num_gpus > 0) {
    device = local_rank() % num_gpus;
    cudaDeviceProp properties;
    status = CudaStatus(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    if (status.ok()) {
      status = CudaStatus(cudaSetDevice(device), "cudaSetDevice");
      absl::StrCat("GPU-", absl::BytesToHexString({properties.uuid.bytes, 16}))
          .copy(mine, kNameBytes);
    }
  }
  RW_RETURN_IF_ERROR(
      host_
          ->AllGather("gpus", {.data = mine, .num_elements = kNameBytes, .type = CommType::kByte},
                      {.data = names.data(),
                       .num_elements = static_cast<int64_t>(names.size()),
                       .type = CommType::kByte})
          ->Wait());
  RW_RETURN_IF_ERROR(status);
  std::vector<std::string> gpus;
  for (int r = 0; r < size(); ++r) gpus.emplace_back(names.data() + r * kNameBytes);
  RW_RETURN_IF_ERROR(CheckOneGpuPerRank(gpus));
  return device;
}

absl::Status NcclCommunicator::MakeStream() {
  return CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                    "cudaStreamCreateWithFlags");
}

absl::Status NcclCommunicator::Init(std::shared_ptr<MpiThread> thread) {
  world_ranks_ = thread->world().world_ranks;
  RW_ASSIGN_OR_RETURN(const int device, TakeGpu());
  watch_ = std::make_shared<NcclWatch>(std::move(thread), device);
  const auto operation = Ask("nccl_init", /*bytes=*/0);
  watch_->Add(operation);
  // From here on the others would wait for a rank that leaves.
  if (const absl::Status status = Join(); !status.ok()) watch_->End(*operation, status);
  operation->is_taken_in = true;
  return absl::OkStatus();
}

absl::Status NcclCommunicator::Join() {
  RW_RETURN_IF_ERROR(MakeStream());
  ncclUniqueId id;
  if (rank() == 0) RW_RETURN_IF_ERROR(NcclStatus(ncclGetUniqueId(&id), "ncclGetUniqueId"));
  RW_RETURN_IF_ERROR(
      host_
          ->Broadcast("nccl id", {.data = &id, .num_elements = sizeof(id), .type = CommType::kByte},
                      0)
          ->Wait());
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  RW_RETURN_IF_ERROR(NcclStatus(ncclCommInitRankConfig(&comm, size(), id, rank(), &config),
                                "ncclCommInitRankConfig"));
  comm_->Set(comm);
  watch_->Add(comm_);
  return comm_->AwaitTakenIn();
}

absl::StatusOr<std::unique_ptr<Communicator>> NcclCommunicator::Split(std::string_view name,
                                                                      int color) {
  RW_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> host, host_->Split(name, color));
  auto group = std::make_unique<NcclCommunicator>(std::move(host), watch_);
  const auto operation = Ask(name, /*bytes=*/0);
  watch_->Add(operation);
  if (const absl::Status status = SplitInto(*group, color); !status.ok()) {
    watch_->End(*operation, status);
  }
  operation->is_taken_in = true;
  return group;
}

absl::Status NcclCommunicator::SplitInto(NcclCommunicator& group, int color) {
  RW_RETURN_IF_ERROR(group.MakeStream());
  std::vector<int64_t> ranks(group.size());
  ranks[group.rank()] = watch_->mpi().world().rank;
  RW_RETURN_IF_ERROR(
      group.host_
          ->AllGather(
              "ranks of the group",
              {.data = &ranks[group.rank()], .num_elements = 1, .type = CommType::kInt64},
              {.data = ranks.data(), .num_elements = group.size(), .type = CommType::kInt64})
          ->Wait());
  group.world_ranks_.assign(ranks.begin(), ranks.end());
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t made = nullptr;  // filled in by NCCL when the split is complete
  RW_RETURN_IF_ERROR(comm_->Do("ncclCommSplit", [&](ncclComm_t comm) {
    return ncclCommSplit(comm, color, /*key=*/rank(), &made, &config);
  }));
  RW_RETURN_IF_ERROR(comm_->AwaitTakenIn());
  group.comm_->Set(made);
  watch_->Add(group.comm_);
  return group.comm_->AwaitTakenIn();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(
    std::shared_ptr<MpiThread> thread) {
  auto communicator =
      std::make_unique<NcclCommunicator>(NewMpiCommunicator(thread), /*watch=*/nullptr);
  RW_RETURN_IF_ERROR(communicator->Init(std::move(thread)));
  return communicator;
}

std::string NcclLibraryVersion() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "an NCCL of no version";
  return absl::StrCat("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

}  // namespace routewright
