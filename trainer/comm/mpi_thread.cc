#include "trainer/comm/mpi_thread.h"

#include <chrono>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace switchyard {
namespace {

// While bytes move, polling without sleep moves them fastest; a peer that is late is waited for in
// growing naps.
constexpr absl::Duration kBusyPolling = absl::Microseconds(200);
constexpr absl::Duration kLongestNap = absl::Milliseconds(1);

void Nap(absl::Duration duration) {
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(duration));
}

}  // namespace

absl::Status MpiStatus(int code, const char* call) {
  if (code == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  return absl::UnavailableError(absl::StrCat(call, " failed: ", std::string(text, length)));
}

absl::Status DescribeGroup(MPI_Comm comm, MpiGroup* group) {
  group->comm = comm;
  SY_RETURN_IF_ERROR(
      MpiStatus(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  MPI_Comm_rank(comm, &group->rank);
  MPI_Comm_size(comm, &group->size);
  MPI_Comm local = MPI_COMM_NULL;
  SY_RETURN_IF_ERROR(MpiStatus(
      MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, /*key=*/group->rank, MPI_INFO_NULL, &local),
      "MPI_Comm_split_type"));
  MPI_Comm_rank(local, &group->local_rank);
  MPI_Comm_size(local, &group->local_size);
  return MpiStatus(MPI_Comm_free(&local), "MPI_Comm_free");
}

MpiThread::MpiThread(absl::Duration deadline) : deadline_(deadline) {
  thread_ = std::jthread([this] { Run(); });
  initialised_.WaitForNotification();
}

MpiThread::~MpiThread() {
  absl::MutexLock lock(&mutex_);
  is_stopping_ = true;
}

void MpiThread::Enqueue(std::shared_ptr<MpiJob> job) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(job));
}

void MpiThread::Abort() {
  is_aborting_ = true;
  Nap(absl::Seconds(3));  // MPI_Abort ends this process long before
  std::_Exit(1);
}

absl::Status MpiThread::Init() {
  int provided = 0;
  SY_RETURN_IF_ERROR(MpiStatus(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
                               "MPI_Init_thread"));
  MPI_Comm comm = MPI_COMM_NULL;
  SY_RETURN_IF_ERROR(MpiStatus(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup"));
  return DescribeGroup(comm, &world_);
}

void MpiThread::Run() {
  init_status_ = Init();
  initialised_.Notify();
  while (true) {
    std::shared_ptr<MpiJob> job;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this] {
        mutex_.AssertHeld();
        return !queue_.empty() || is_stopping_ || is_aborting_;
      };
      mutex_.AwaitWithTimeout(absl::Condition(&has_work), absl::Milliseconds(100));
      if (is_aborting_) MPI_Abort(MPI_COMM_WORLD, 1);
      if (queue_.empty() && is_stopping_) break;
      if (queue_.empty()) continue;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job->result = failure_.ok() ? RunJob(*job) : failure_;
    if (!job->result.ok()) failure_ = job->result;
    job->done.Notify();
  }
  if (!init_status_.ok() || !failure_.ok()) return;
  MPI_Comm_free(&world_.comm);
  MPI_Finalize();
}

absl::Status MpiThread::RunJob(MpiJob& job) {
  const absl::Time deadline = absl::Now() + deadline_;
  std::vector<MPI_Request> requests;
  for (const MpiJob::Phase& phase : job.phases) {
    requests.clear();
    SY_RETURN_IF_ERROR(phase(requests));
    SY_RETURN_IF_ERROR(WaitAll(job, requests, deadline));
  }
  return absl::OkStatus();
}

absl::Status MpiThread::WaitAll(const MpiJob& job, std::vector<MPI_Request>& requests,
                                absl::Time deadline) {
  const absl::Time start = absl::Now();
  absl::Duration nap = absl::Microseconds(20);
  while (!requests.empty()) {
    int is_done = 0;
    const int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &is_done,
                                 MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      return absl::UnavailableError(absl::StrFormat("collective '%s' failed on rank %d of %d: %s",
                                                    job.name, world_.rank, world_.size,
                                                    MpiStatus(code, "MPI_Testall").message()));
    }
    if (is_done) break;
    if (is_aborting_) MPI_Abort(MPI_COMM_WORLD, 1);
    const absl::Time now = absl::Now();
    if (now > deadline) {
      return absl::DeadlineExceededError(
          absl::StrFormat("collective '%s' on rank %d of %d was not complete after %s: a peer is "
                          "dead, stopped or has "
                          "not entered it",
                          job.name, world_.rank, world_.size, absl::FormatDuration(deadline_)));
    }
    if (now - start < kBusyPolling) continue;
    Nap(nap);
    nap = std::min(nap * 2, kLongestNap);
  }
  return absl::OkStatus();
}

}  // namespace switchyard
