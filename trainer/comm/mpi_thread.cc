#include "trainer/comm/mpi_thread.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/network_address.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// While bytes move, polling without sleep moves them fastest; a peer that is late is
// waited for in growing naps.
constexpr absl::Duration kBusyPolling = absl::Microseconds(200);
constexpr absl::Duration kLongestNap = absl::Milliseconds(1);

// The other ranks are looked after this often at most while a collective runs, and this often
// at least while none does.
constexpr absl::Duration kWatchEvery = absl::Milliseconds(2);
constexpr absl::Duration kLongestSilence = absl::Milliseconds(20);

// After a failure: for the others to say where they are, and to write their parts of the notice.
constexpr absl::Duration kPatience = absl::Milliseconds(700);
constexpr absl::Duration kTimeToWrite = absl::Milliseconds(500);
// A rank's death may be known a moment before this rank comes to the operation
// that it is missing from.
constexpr absl::Duration kTimeToCome = absl::Milliseconds(50);
// When no notice is to be written, or no further part: to free what the other
// ranks may be waiting for.
constexpr absl::Duration kTimeToFree = absl::Milliseconds(100);

void Nap(absl::Duration duration) {
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(duration));
}

// Fills in which ranks of the world `comm` is made of.
absl::Status FindWorldRanks(MPI_Comm comm, std::vector<int>* world_ranks) {
  MPI_Group members = MPI_GROUP_NULL, world = MPI_GROUP_NULL;
  RW_RETURN_IF_ERROR(MpiStatus(MPI_Comm_group(comm, &members), "MPI_Comm_group"));
  RW_RETURN_IF_ERROR(MpiStatus(MPI_Comm_group(MPI_COMM_WORLD, &world), "MPI_Comm_group"));
  int size = 0;
  MPI_Group_size(members, &size);
  std::vector<int> ranks(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  world_ranks->resize(size);
  const absl::Status status =
      MpiStatus(MPI_Group_translate_ranks(members, size, ranks.data(), world, world_ranks->data()),
                "MPI_Group_translate_ranks");
  MPI_Group_free(&members);
  MPI_Group_free(&world);
  return status;
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
  RW_RETURN_IF_ERROR(
      MpiStatus(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  MPI_Comm_rank(comm, &group->rank);
  MPI_Comm_size(comm, &group->size);
  RW_RETURN_IF_ERROR(FindWorldRanks(comm, &group->world_ranks));
  MPI_Comm local = MPI_COMM_NULL;
  RW_RETURN_IF_ERROR(MpiStatus(
      MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, /*key=*/group->rank, MPI_INFO_NULL, &local),
      "MPI_Comm_split_type"));
  MPI_Comm_rank(local, &group->local_rank);
  MPI_Comm_size(local, &group->local_size);
  return MpiStatus(MPI_Comm_free(&local), "MPI_Comm_free");
}

MpiThread::MpiThread(absl::Duration deadline, std::string notice_path)
    : deadline_(deadline), notice_path_(std::move(notice_path)) {
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

char* MpiThread::Scratch(size_t num_bytes) {
  if (num_bytes > scratch_bytes_) {
    scratch_.reset();
    scratch_ = std::make_unique_for_overwrite<char[]>(num_bytes);
    scratch_bytes_ = num_bytes;
  }
  return scratch_.get();
}

absl::Duration MpiThread::time_for_an_operation() const {
  return deadline_ - std::min(kPatience + kTimeToWrite, deadline_ / 2);
}

absl::Status MpiThread::TooLate() const {
  return absl::DeadlineExceededError(
      absl::StrCat("it was not complete within ", absl::FormatDuration(deadline_)));
}

void MpiThread::FailFromOutside(const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  if (failure_.ok()) failure_ = why;
}

void MpiThread::SleepUntilEnd() {
  Nap(absl::Seconds(3));  // the MPI thread ends this process long before
  std::_Exit(1);
}

void MpiThread::Abort() {
  is_aborting_ = true;
  SleepUntilEnd();
}

absl::Status MpiThread::Init() {
  int provided = 0;
  RW_RETURN_IF_ERROR(MpiStatus(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
                               "MPI_Init_thread"));
  MPI_Comm comm = MPI_COMM_NULL;
  RW_RETURN_IF_ERROR(MpiStatus(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup"));
  RW_RETURN_IF_ERROR(DescribeGroup(comm, &world_));
  return watch_.Start(comm);
}

void MpiThread::Run() {
  init_status_ = Init();
  initialised_.Notify();
  if (!init_status_.ok()) return;
  while (true) {
    std::shared_ptr<MpiJob> job;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this] {
        mutex_.AssertHeld();
        return !queue_.empty() || is_stopping_ || is_aborting_ || !failure_.ok();
      };
      mutex_.AwaitWithTimeout(absl::Condition(&has_work), kLongestSilence);
      if (queue_.empty() && is_stopping_ && !is_aborting_) break;
      if (!queue_.empty()) {
        job = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    Watch();
    if (job == nullptr) continue;
    if (const absl::Status status = RunJob(*job); !status.ok()) {
      EndOverFailure(absl::Status(status.code(), absl::StrCat("'", job->name, "' failed: ",
                                                              std::string(status.message()))));
    }
    job->done.Notify();
  }
  watch_.Stop();
  MPI_Comm_free(&world_.comm);
  MPI_Finalize();
}

absl::Status MpiThread::RunJob(MpiJob& job) {
  log_.Enter(job.sequence);
  const absl::Time deadline = absl::Now() + time_for_an_operation();
  std::vector<MPI_Request> requests;
  for (const MpiJob::Phase& phase : job.phases) {
    requests.clear();
    RW_RETURN_IF_ERROR(phase(requests));
    RW_RETURN_IF_ERROR(WaitAll(requests, deadline));
  }
  log_.Finish(job.sequence);
  return absl::OkStatus();
}

absl::Status MpiThread::WaitAll(std::vector<MPI_Request>& requests, absl::Time deadline) {
  const absl::Time start = absl::Now();
  absl::Duration nap = absl::Microseconds(20);
  while (!requests.empty()) {
    int is_done = 0;
    const int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &is_done,
                                 MPI_STATUSES_IGNORE);
    RW_RETURN_IF_ERROR(MpiStatus(code, "MPI_Testall"));
    if (is_done) break;
    const absl::Time now = absl::Now();
    if (now > deadline) {
      return TooLate();
    }
    if (now - start < kBusyPolling) continue;
    Watch();
    Nap(nap);
    nap = std::min(nap * 2, kLongestNap);
  }
  return absl::OkStatus();
}

void MpiThread::Watch() {
  absl::Status failure;
  {
    absl::MutexLock lock(&mutex_);
    failure = failure_;
  }
  if (!failure.ok()) EndOverFailure(failure);
  if (is_aborting_) {
    watch_.SayAborting();
    EndAfter(kTimeToFree);
  }
  const absl::Time now = absl::Now();
  if (now - last_watched_ < kWatchEvery) return;
  last_watched_ = now;
  const absl::Status status = watch_.Poll();
  if (absl::IsAborted(status)) EndAfter(kTimeToFree);
  if (!status.ok()) EndOverFailure(status);
}

// By a plain exit: a rank's status that is not 0 makes mpirun end all others, stopped ones too,
// where MPI_Abort from several ranks at once can make mpirun hang (seen with OpenMPI 5.0.11).
void MpiThread::EndOverFailure(const absl::Status& why) {
  Operation operation = log_.oldest_unfinished();
  watch_.AskAround(operation, kPatience);
  const absl::Time end = absl::Now() + kTimeToCome;
  while (operation.sequence == 0 && absl::Now() < end) {
    Nap(kLongestNap);
    operation = log_.oldest_unfinished();
  }
  WriteNotice(why, operation, watch_.Describe(operation));
  watch_.SayNoticeWritten();
  EndAfter(kTimeToWrite);  // the others heard of it from this rank, or found it themselves
}

void MpiThread::EndAfter(absl::Duration time) {
  is_ending_ = true;
  const absl::Time begin = absl::Now();
  while (absl::Now() - begin < (watch_.HasEverybodyWritten() ? kTimeToFree : time)) {
    watch_.Poll().IgnoreError();
    Nap(kLongestNap);
  }
  std::_Exit(1);
}

void MpiThread::WriteNotice(const absl::Status& why, const Operation& operation,
                            const std::string& others) const {
  const Operation last = log_.last_finished();
  const std::string place =
      operation.sequence > 0
          ? absl::StrFormat("in '%s' (operation %d, %s)", operation.name, operation.sequence,
                            RanksText(operation.ranks))
          : absl::StrFormat("after '%s' (operation %d)", last.name, last.sequence);
  const int64_t step = log_.step();
  const std::string headline = absl::StrFormat(
      "rank %d of %d on %s, %s%s: %s", world_.rank, world_.size, HostName(),
      step >= 0 ? absl::StrFormat("step %d, ", step) : "", place, std::string(why.message()));
  std::fprintf(stderr, "%s: %s%s%s\n", ProcessName(), headline.c_str(),
               notice_path_.empty() ? "" : "; see ", notice_path_.c_str());
  // By which a launcher tells its ranks' notice from one that a rank of an
  // earlier start writes late.
  const char* start = std::getenv("ROUTEWRIGHT_START");
  const std::string text = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()), " ", headline,
      "\n", others, start != nullptr ? absl::StrCat("  start ", start, "\n") : "",
      "  last operations (number, name, bytes received or sent, ranks):\n", log_.Describe(), "\n");
  const int file = notice_path_.empty()
                       ? STDERR_FILENO
                       : open(notice_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  // One write, so that the parts of several ranks do not mix.
  if (write(file, text.data(), text.size()) < 0) std::perror(notice_path_.c_str());
}

}  // namespace routewright
