// Watches the other ranks from the MPI thread: a small receive from each of them is always posted,
// so that a rank's death shows at once where MPI reports it (`mpirun --with-ft ulfm`), also between
// collectives; and the same messages ask the others where they are when a deadline has passed, and
// tell them that this rank gives up. The MPI thread only.
#pragma once

#include <mpi.h>

#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "trainer/comm/operation_log.h"

namespace routewright {

class RankWatch {
 public:
  // `log` must outlive the watch.
  explicit RankWatch(OperationLog* log) : log_(log) {}

  // Collective: makes a communicator of its own from `world` and posts the receives.
  absl::Status Start(MPI_Comm world);
  // Takes what has come in and answers it. Fails: kUnavailable naming a rank that died or gave up;
  // kAborted: a rank ends the job for reasons of its own, which it has told.
  absl::Status Poll();
  // Tells the others that this rank ends the job, so that they do not report it as lost.
  void SayAborting();
  // Tells the others that this rank's part of the notice is written.
  void SayNoticeWritten();
  // Whether no other rank has a part of the notice to write: each has said so, or is gone.
  // One that hangs never says.
  bool HasEverybodyWritten() const;
  // Withdraws the receives, before MPI is finalised.
  void Stop();

  // After a failure: tells the others, asks each whether it has entered `operation` (`sequence` 0:
  // only where it is), and polls until all have answered or `patience` is over.
  void AskAround(const Operation& operation, absl::Duration patience);
  // After AskAround: a line for each of the others, who is missing from `operation` and who is not.
  std::string Describe(const Operation& operation) const;

 private:
  enum class Kind : int64_t { kGivingUp = 1, kAnswer = 2, kAborting = 3, kNoticeWritten = 4 };
  struct Message {
    Kind kind;
    int64_t about;         // kGivingUp: the operation that the sender asks about; kAnswer: as asked
    int64_t has_entered;   // kAnswer: the sender has entered that operation
    int64_t sequence;      // the sender's oldest unfinished operation, else the last one finished
    int64_t is_under_way;  // it is unfinished
    char name[88];         // its name, cut if it is longer
  };
  enum class State { kSilent, kGaveUp, kAnswered, kDead };
  struct Peer {
    Message incoming;
    MPI_Request request = MPI_REQUEST_NULL;
    State state = State::kSilent;
    bool has_written = false;
    Message answer;
  };
  struct Sending {
    Message message;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  absl::Status GatherHosts();
  absl::Status Post(int rank);
  absl::Status Handle(int rank);
  void Send(int rank, Kind kind, int64_t about);
  bool HasEverybodyAnswered() const;
  static std::string PlaceText(const Message& message);

  OperationLog* const log_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::vector<std::string> hosts_;  // by rank
  std::vector<Peer> peers_;
  std::deque<Sending> sending_;  // addresses stay while requests refer to them
};

}  // namespace routewright
