// The one thread that talks to MPI: initialises it, runs queued jobs one after the other by polling
// (so that deadlines hold and a waiting rank sleeps instead of spinning a core), and finalises it.
#pragma once

#include <mpi.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "trainer/comm/operation_log.h"
#include "trainer/comm/rank_watch.h"

namespace routewright {

// What went wrong in a foreign MPI call, or OK.
absl::Status MpiStatus(int code, const char* call);

// A collective as MPI sees it: phases that each start requests; the next begins when
// all of them are complete.
struct MpiJob {
  using Phase = std::function<absl::Status(std::vector<MPI_Request>&)>;
  std::string name;
  int64_t sequence = 0;  // in the operation log
  std::vector<Phase> phases;
  absl::Notification done;  // a job that fails ends the process
};

// A communicator of MPI's and this process's place in it. `comm` is used inside phases only.
struct MpiGroup {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0, size = 1, local_rank = 0, local_size = 1;
  std::vector<int> world_ranks;  // of its members, ascending
};
// Fills in the places of `comm`, which takes errors as return values from then on. On
// the MPI thread, collective.
absl::Status DescribeGroup(MPI_Comm comm, MpiGroup* group);

class MpiThread {
 public:
  // Starts the thread and initialises MPI. Check `init_status` before anything else. `deadline`
  // is each job's, from the moment it begins. When it passes, or a rank dies, this rank appends
  // its part to the notice ("": on stderr) and ends the process: nobody can go on, and the
  // caller may be computing.
  MpiThread(absl::Duration deadline, std::string notice_path);
  // Runs what is queued, then finalises MPI (skipped after a failed job: it would
  // wait for peers for ever).
  ~MpiThread();

  absl::Status init_status() const { return init_status_; }
  const MpiGroup& world() const { return world_; }

  // Both owners: the caller's Collective and this queue, until the job is done. Any thread.
  void Enqueue(std::shared_ptr<MpiJob> job);

  OperationLog& log() { return log_; }
  // How long an operation may take, so that asking around and writing the notice are over when its
  // deadline comes, if that is long enough for both.
  absl::Duration time_for_an_operation() const;
  // Of an operation that took longer: kDeadlineExceeded.
  absl::Status TooLate() const;
  // An operation that this thread does not run itself failed: as if it had been one of its jobs.
  // Any thread; returns, but this process ends soon.
  void FailFromOutside(const absl::Status& why);
  // For who cannot go on after FailFromOutside: does not return; this process ends meanwhile. Any thread.
  [[noreturn]] static void SleepUntilEnd();
  // This process ends in a moment: who owns anything that other ranks wait for
  // frees it now. Any thread.
  bool is_ending() const { return is_ending_; }
  // At least `num_bytes`, uninitialised, for the job that runs. Inside phases only.
  char* Scratch(size_t num_bytes);

  // Tells the other ranks and ends them and this process, also between the polls of a running job;
  // after a failure the notice comes first. Does not return.
  [[noreturn]] void Abort();

 private:
  void Run();
  absl::Status Init();
  absl::Status RunJob(MpiJob& job);
  absl::Status WaitAll(std::vector<MPI_Request>& requests, absl::Time deadline);
  // Looks after the other ranks, now and then; ends this one if one of them is lost.
  void Watch();
  [[noreturn]] void EndOverFailure(const absl::Status& why);
  // Ends this process after `time`, in which it still answers the others; sooner once
  // nobody has a notice to write.
  [[noreturn]] void EndAfter(absl::Duration time);
  void WriteNotice(const absl::Status& why, const Operation& operation,
                   const std::string& others) const;

  // Constant after the constructor.
  const absl::Duration deadline_;
  const std::string notice_path_;
  absl::Status init_status_;
  MpiGroup world_;

  absl::Mutex mutex_;
  std::deque<std::shared_ptr<MpiJob>> queue_ ABSL_GUARDED_BY(mutex_);
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);  // from FailFromOutside: the first
  std::atomic<bool> is_aborting_ = false;
  std::atomic<bool> is_ending_ = false;
  OperationLog log_;
  // The MPI thread's own:
  RankWatch watch_{&log_};
  absl::Time last_watched_ = absl::InfinitePast();
  std::unique_ptr<char[]> scratch_;
  size_t scratch_bytes_ = 0;

  absl::Notification initialised_;
  std::jthread thread_;  // last: dies first
};

}  // namespace routewright
