#include "trainer/comm/nccl_watch.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

absl::Status NotYet() { return absl::UnknownError("not yet"); }

}  // namespace

absl::Status CudaStatus(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(call, " failed: ", cudaGetErrorString(code)));
}

absl::Status NcclStatus(ncclResult_t code, const char* call) {
  if (code == ncclSuccess || code == ncclInProgress) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(call, " failed: ", ncclGetErrorString(code)));
}

absl::Status NewCudaEvent(CudaEvent* event) {
  cudaEvent_t made = nullptr;
  const cudaError_t code = cudaEventCreateWithFlags(&made, cudaEventDisableTiming);
  event->reset(made);
  return CudaStatus(code, "cudaEventCreateWithFlags");
}

absl::Status QueryEvent(const CudaEvent& event) {
  const cudaError_t code = cudaEventQuery(event.get());
  if (code != cudaErrorNotReady) return CudaStatus(code, "cudaEventQuery");
  cudaGetLastError();  // else LibTorch finds it after its next launch and takes it for an error
  return NotYet();
}

void NcclComm::Set(ncclComm_t comm) {
  absl::MutexLock lock(&mutex_);
  comm_ = comm;
}

absl::Status NcclComm::Poll() {
  ncclResult_t state = ncclSuccess;
  RW_RETURN_IF_ERROR(Do("ncclCommGetAsyncError",
                        [&](ncclComm_t comm) { return ncclCommGetAsyncError(comm, &state); }));
  return state == ncclInProgress ? NotYet() : NcclStatus(state, "NCCL");
}

absl::Status NcclComm::AwaitTakenIn() {
  while (true) {
    const absl::Status status = Poll();
    if (!absl::IsUnknown(status)) return status;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

void NcclComm::Close() {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  absl::Status status = Do("ncclCommFinalize", ncclCommFinalize);
  while (status.ok() && absl::IsUnknown(status = Poll()) && absl::Now() < deadline) {
    status = absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!status.ok()) return Abort();
  absl::MutexLock lock(&mutex_);
  if (comm_ != nullptr) ncclCommDestroy(comm_);
  comm_ = nullptr;
}

void NcclComm::Abort() {
  is_aborted_ = true;
  absl::MutexLock lock(&mutex_);
  if (comm_ != nullptr) ncclCommAbort(comm_);
  comm_ = nullptr;
}

absl::Status NcclOperation::Query() const {
  if (is_taken_in) {
    const absl::Status status = done == nullptr ? absl::OkStatus() : QueryEvent(done);
    if (status.ok() && comm->is_aborted()) return absl::CancelledError("it was aborted");
    if (!absl::IsUnknown(status)) return status;
  }
  const absl::Status status = comm->Poll();
  return status.ok() ? NotYet() : status;
}

NcclWatch::NcclWatch(std::shared_ptr<MpiThread> mpi, int device)
    : mpi_(std::move(mpi)), thread_([this, device](std::stop_token stop) {
        cudaSetDevice(device);
        Run(stop);
      }) {}

NcclWatch::~NcclWatch() {
  thread_.request_stop();
  thread_.join();
}

void NcclWatch::Add(std::shared_ptr<NcclComm> comm) {
  absl::MutexLock lock(&mutex_);
  comms_.push_back(std::move(comm));
}

void NcclWatch::Add(std::shared_ptr<NcclOperation> operation) {
  absl::MutexLock lock(&mutex_);
  operations_.push_back(std::move(operation));
}

bool NcclWatch::Forget(const NcclComm& comm) {
  absl::MutexLock lock(&mutex_);
  LookAtAll();
  std::erase_if(comms_, [&](const auto& other) { return other.get() == &comm; });
  return std::erase_if(operations_,
                       [&](const auto& operation) { return operation->comm.get() == &comm; }) == 0;
}

void NcclWatch::End(const NcclOperation& operation, const absl::Status& why) {
  FailOver(operation, why);
  MpiThread::SleepUntilEnd();
}

void NcclWatch::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (mpi_->is_ending()) return AbortAll();
    {
      absl::MutexLock lock(&mutex_);
      LookAtAll();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// A communicator's operations are done one after the other: only its oldest is looked at.
void NcclWatch::LookAtAll() {
  std::set<const NcclComm*> busy;
  std::vector<std::shared_ptr<NcclOperation>> unfinished;
  for (std::shared_ptr<NcclOperation>& operation : operations_) {
    const NcclComm* comm = operation->comm.get();
    if (!busy.contains(comm) && IsOver(*operation)) continue;
    busy.insert(comm);
    unfinished.push_back(std::move(operation));
  }
  operations_ = std::move(unfinished);
}

bool NcclWatch::IsOver(NcclOperation& operation) {
  absl::Status status = operation.Query();
  const bool is_pending = absl::IsUnknown(status);
  if (operation.entered == absl::InfiniteFuture() &&
      (status.ok() ||
       (is_pending && (operation.ready == nullptr || QueryEvent(operation.ready).ok())))) {
    operation.entered = absl::Now();
    mpi_->log().Enter(operation.sequence);
  }
  if (status.ok()) mpi_->log().Finish(operation.sequence);
  if (is_pending) {
    if (absl::Now() - operation.entered < mpi_->time_for_an_operation()) return false;
    status = mpi_->TooLate();
  }
  if (!status.ok()) FailOver(operation, status);
  return status.ok();
}

void NcclWatch::FailOver(const NcclOperation& operation, const absl::Status& why) {
  mpi_->FailFromOutside(absl::Status(
      why.code(), absl::StrCat("'", operation.name, "' failed: ", std::string(why.message()))));
}

void NcclWatch::AbortAll() {
  std::vector<std::shared_ptr<NcclComm>> comms;
  {
    absl::MutexLock lock(&mutex_);
    comms = comms_;
  }
  for (const std::shared_ptr<NcclComm>& comm : comms) comm->Abort();
}

}  // namespace routewright
