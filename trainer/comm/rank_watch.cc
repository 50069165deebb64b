#include "trainer/comm/rank_watch.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "trainer/comm/mpi_thread.h"

namespace routewright {
namespace {

constexpr int kTag = 2;

}  // namespace

absl::Status RankWatch::Start(MPI_Comm world) {
  RW_RETURN_IF_ERROR(MpiStatus(MPI_Comm_dup(world, &comm_), "MPI_Comm_dup"));
  RW_RETURN_IF_ERROR(
      MpiStatus(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  RW_RETURN_IF_ERROR(GatherHosts());
  peers_.resize(size_);
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) RW_RETURN_IF_ERROR(Post(r));
  }
  return absl::OkStatus();
}

// While all are there: a lost rank can no longer say where it runs.
absl::Status RankWatch::GatherHosts() {
  constexpr int kNameBytes = 64;  // HOST_NAME_MAX, which does not count the 0 that ends a name
  std::vector<char> names(static_cast<size_t>(size_) * kNameBytes);
  char* mine = names.data() + static_cast<size_t>(rank_) * kNameBytes;
  gethostname(mine, kNameBytes - 1);
  RW_RETURN_IF_ERROR(
      MpiStatus(MPI_Allgather(/*sendbuf=*/MPI_IN_PLACE, /*sendcount=*/0, MPI_DATATYPE_NULL,
                              /*recvbuf=*/names.data(), /*recvcount=*/kNameBytes, MPI_BYTE, comm_),
                "MPI_Allgather"));
  for (int r = 0; r < size_; ++r) {
    hosts_.emplace_back(names.data() + static_cast<size_t>(r) * kNameBytes);
  }
  return absl::OkStatus();
}

absl::Status RankWatch::Post(int rank) {
  Peer& peer = peers_[rank];
  return MpiStatus(MPI_Irecv(/*buf=*/&peer.incoming, /*count=*/sizeof(Message), MPI_BYTE,
                             /*source=*/rank, kTag, comm_, &peer.request),
                   "MPI_Irecv");
}

absl::Status RankWatch::Poll() {
  for (int r = 0; r < static_cast<int>(peers_.size()); ++r) {
    Peer& peer = peers_[r];
    if (r == rank_ || peer.request == MPI_REQUEST_NULL) continue;
    int has_come = 0;
    const int code = MPI_Test(&peer.request, &has_come, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS) {
      if (peer.state == State::kSilent) peer.state = State::kDead;  // else it has told why it ends
      peer.request = MPI_REQUEST_NULL;
      return absl::UnavailableError(absl::StrCat("rank ", r, " died"));
    }
    if (has_come) RW_RETURN_IF_ERROR(Handle(r));
  }
  while (!sending_.empty()) {
    int is_sent = 0;
    MPI_Test(&sending_.front().request, &is_sent, MPI_STATUS_IGNORE);
    if (!is_sent) break;
    sending_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status RankWatch::Handle(int rank) {
  Peer& peer = peers_[rank];
  const Message message = peer.incoming;
  RW_RETURN_IF_ERROR(Post(rank));
  switch (message.kind) {
    case Kind::kAborting:
      return absl::AbortedError(absl::StrCat("rank ", rank, " ended the job"));
    case Kind::kNoticeWritten:
      peer.has_written = true;
      return absl::OkStatus();
    case Kind::kAnswer:
      peer.answer = message;
      peer.state = State::kAnswered;
      return absl::OkStatus();
    case Kind::kGivingUp:
      break;
  }
  if (peer.state != State::kAnswered) {
    peer.answer = message;
    peer.state = State::kGaveUp;
  }
  Send(rank, Kind::kAnswer, message.about);
  return absl::UnavailableError(absl::StrCat("rank ", rank, " gave up ", PlaceText(message)));
}

void RankWatch::Send(int rank, Kind kind, int64_t about) {
  if (peers_[rank].request == MPI_REQUEST_NULL) return;  // it is dead
  Operation operation = log_->oldest_unfinished();
  const bool is_under_way = operation.sequence > 0;
  if (!is_under_way) operation = log_->last_finished();
  Sending& sending = sending_.emplace_back();
  Message& message = sending.message;
  std::memset(&message, 0, sizeof(message));
  message.kind = kind;
  message.about = about;
  message.has_entered = log_->HasEntered(about);
  message.sequence = operation.sequence;
  message.is_under_way = is_under_way;
  operation.name.copy(message.name, sizeof(message.name) - 1);
  MPI_Isend(/*buf=*/&message, /*count=*/sizeof(Message), MPI_BYTE, /*dest=*/rank, kTag, comm_,
            &sending.request);
}

std::string RankWatch::PlaceText(const Message& message) {
  return absl::StrFormat("%s '%s' (operation %d)", message.is_under_way ? "in" : "after",
                         message.name, message.sequence);
}

bool RankWatch::HasEverybodyAnswered() const {
  for (int r = 0; r < size_; ++r) {
    const State state = peers_[r].state;
    if (r != rank_ && (state == State::kSilent || state == State::kGaveUp)) return false;
  }
  return true;
}

void RankWatch::AskAround(const Operation& operation, absl::Duration patience) {
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) Send(r, Kind::kGivingUp, operation.sequence);
  }
  const absl::Time end = absl::Now() + patience;
  while (!HasEverybodyAnswered() && absl::Now() < end) {
    Poll().IgnoreError();  // what it finds is in the peers' states
    absl::SleepFor(absl::Milliseconds(1));
  }
}

std::string RankWatch::Describe(const Operation& operation) const {
  const std::string place =
      absl::StrFormat("'%s' (operation %d)", operation.name, operation.sequence);
  std::string text;
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    const Peer& peer = peers_[r];
    absl::StrAppend(&text, "  rank ", r, " on ", hosts_[r]);
    const bool takes_part = std::ranges::find(operation.ranks, r) != operation.ranks.end();
    const std::string missing = operation.sequence == 0 ? "no operation was under way here"
                                : takes_part            ? "it is missing from " + place
                                                        : "it takes no part in " + place;
    switch (peer.state) {
      case State::kDead:
        absl::StrAppend(&text, " is dead: ", missing);
        break;
      case State::kSilent:
        absl::StrAppend(&text, " does not answer (stopped, or cut off): ", missing);
        break;
      case State::kGaveUp:
        absl::StrAppend(&text, " gave up ", PlaceText(peer.answer));
        break;
      case State::kAnswered:
        absl::StrAppend(&text, " lives, ", PlaceText(peer.answer));
        if (takes_part && !peer.answer.has_entered) {
          absl::StrAppend(&text, ": it has not entered ", place);
        }
        break;
    }
    text += '\n';
  }
  return text;
}

void RankWatch::SayAborting() {
  for (int r = 0; r < static_cast<int>(peers_.size()); ++r) {
    if (r != rank_) Send(r, Kind::kAborting, /*about=*/0);
  }
  const absl::Time end = absl::Now() + absl::Milliseconds(200);
  while (!sending_.empty() && absl::Now() < end) Poll().IgnoreError();
}

void RankWatch::SayNoticeWritten() {
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) Send(r, Kind::kNoticeWritten, /*about=*/0);
  }
}

bool RankWatch::HasEverybodyWritten() const {
  for (int r = 0; r < size_; ++r) {
    const Peer& peer = peers_[r];
    if (r != rank_ && peer.request != MPI_REQUEST_NULL && !peer.has_written) return false;
  }
  return true;
}

void RankWatch::Stop() {
  for (Peer& peer : peers_) {
    if (peer.request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&peer.request);
    MPI_Wait(&peer.request, MPI_STATUS_IGNORE);
  }
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

}  // namespace routewright
