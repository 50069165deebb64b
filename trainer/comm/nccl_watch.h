// NCCL's communicators and what each was given, and the thread that looks after them, since the
// computing thread enqueues far ahead and waits for little.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "trainer/comm/mpi_thread.h"

namespace routewright {

// What went wrong in a foreign call, or OK, also where NCCL goes on in the background.
absl::Status CudaStatus(cudaError_t code, const char* call);
absl::Status NcclStatus(ncclResult_t code, const char* call);

struct CudaEventDeleter {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using CudaEvent = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, CudaEventDeleter>;
absl::Status NewCudaEvent(CudaEvent* event);
// OK: the stream has come past the event; kUnknown: not yet; else the device's error.
absl::Status QueryEvent(const CudaEvent& event);

// A non-blocking communicator of NCCL's, which one thread at a time may use, polls included: every
// call is under the mutex. Thread-safe.
class NcclComm {
 public:
  // Aborted, unless closed before.
  ~NcclComm() { Abort(); }
  // Before anything else, once NCCL has made it; may still be initialising.
  void Set(ncclComm_t comm);
  // `call`: ncclComm_t -> ncclResult_t. Fails: kUnavailable with NCCL's reason; kCancelled after
  // Abort; kUnknown before Set.
  template <typename Call>
  absl::Status Do(const char* name, Call call) {
    absl::MutexLock lock(&mutex_);
    if (is_aborted_) return absl::CancelledError("the communicator was aborted");
    if (comm_ == nullptr) return absl::UnknownError("not yet");
    return NcclStatus(call(comm_), name);
  }
  // OK: NCCL has taken in what it was given. kUnknown: not yet. Else as Do.
  absl::Status Poll();
  // Polls until it is not kUnknown; no deadline of its own.
  absl::Status AwaitTakenIn();
  // Frees it, when nothing given to it is under way; waits for the other ranks to do so, for 10 s.
  void Close();
  // Frees it and stops what is under way, whose buffers then hold anything.
  void Abort();
  // Is set before anything stops because of it.
  bool is_aborted() const { return is_aborted_; }

 private:
  std::atomic<bool> is_aborted_ = false;
  absl::Mutex mutex_;
  ncclComm_t comm_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// One operation given to NCCL. Owners: the caller's handle and, until it is over, the watch.
struct NcclOperation {
  // Constant once the watch has it.
  int64_t sequence = 0;  // in the operation log
  std::string name;
  std::shared_ptr<NcclComm> comm;  // with the communicator and the watch
  CudaEvent ready;                 // the compute stream has come to it; null: it waits for nothing
  CudaEvent done;                  // follows it on its stream; null: it is done when taken in

  std::atomic<bool> is_taken_in = false;  // set by the caller: NCCL has it, and `done` is recorded
  absl::Time entered = absl::InfiniteFuture();  // the watch's: it is on the wire

  // OK: complete. kUnknown: not yet. Else failed.
  absl::Status Query() const;
};

// Notes in the log what is on the wire and what is complete, and ends the job when an operation
// fails or its deadline passes. The deadline counts from when this rank has entered the operation:
// those before it on its communicator are complete, and so is the computation that it waits for.
// When the job ends, for whatever reason, it aborts every communicator. Thread-safe.
class NcclWatch {
 public:
  NcclWatch(std::shared_ptr<MpiThread> mpi, int device);
  ~NcclWatch();

  MpiThread& mpi() { return *mpi_; }
  void Add(std::shared_ptr<NcclComm> comm);
  void Add(std::shared_ptr<NcclOperation> operation);
  // Neither `comm` nor its operations are looked at any more: before it is freed. Returns whether
  // all of them are complete.
  bool Forget(const NcclComm& comm);
  // For an operation that failed; this process ends.
  [[noreturn]] void End(const NcclOperation& operation, const absl::Status& why);

 private:
  void Run(std::stop_token stop);
  void LookAtAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOver(NcclOperation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailOver(const NcclOperation& operation, const absl::Status& why);
  void AbortAll();

  const std::shared_ptr<MpiThread> mpi_;  // with the communicators
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<NcclComm>> comms_ ABSL_GUARDED_BY(mutex_);
  // As they were asked for.
  std::vector<std::shared_ptr<NcclOperation>> operations_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: dies first
};

}  // namespace routewright
