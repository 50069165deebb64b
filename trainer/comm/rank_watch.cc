#include "trainer/comm/rank_watch.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "trainer/comm/mpi_thread.h"

namespace switchyard {
namespace {

constexpr int kTag = 2;

}  // namespace

absl::Status RankWatch::Start(MPI_Comm world) {
  SY_RETURN_IF_ERROR(MpiStatus(MPI_Comm_dup(world, &comm_), "MPI_Comm_dup"));
  SY_RETURN_IF_ERROR(
      MpiStatus(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  peers_.resize(size_);
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) SY_RETURN_IF_ERROR(Post(r));
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
      peer.state = State::kDead;
      peer.request = MPI_REQUEST_NULL;
      return absl::UnavailableError(absl::StrCat("rank ", r, " died"));
    }
    if (has_come) SY_RETURN_IF_ERROR(Handle(r));
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
  peer.answer = message;
  peer.state = State::kAnswered;
  SY_RETURN_IF_ERROR(Post(rank));
  if (message.kind == Kind::kAborting) {
    return absl::AbortedError(absl::StrCat("rank ", rank, " ended the job"));
  }
  if (message.kind == Kind::kAnswer) return absl::OkStatus();
  Send(rank, Kind::kAnswer);
  return absl::UnavailableError(absl::StrCat("rank ", rank, " gave up in '", message.entered_name,
                                             "' (operation ", message.entered, ")"));
}

void RankWatch::Send(int rank, Kind kind) {
  if (peers_[rank].state == State::kDead) return;
  const Operation entered = log_->last_entered();
  Sending& sending = sending_.emplace_back();
  std::memset(&sending.message, 0, sizeof(sending.message));
  sending.message.kind = kind;
  sending.message.entered = entered.sequence;
  sending.message.finished = log_->last_finished().sequence;
  std::snprintf(sending.message.entered_name, sizeof(sending.message.entered_name), "%s",
                entered.name.c_str());
  MPI_Isend(/*buf=*/&sending.message, /*count=*/sizeof(Message), MPI_BYTE, /*dest=*/rank, kTag,
            comm_, &sending.request);
}

bool RankWatch::HasEverybodySpoken() const {
  for (int r = 0; r < size_; ++r) {
    if (r != rank_ && peers_[r].state == State::kSilent) return false;
  }
  return true;
}

std::string RankWatch::AskAround(const std::string& name, int64_t sequence,
                                 absl::Duration patience) {
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) Send(r, Kind::kGivingUp);
  }
  const absl::Time end = absl::Now() + patience;
  while (!HasEverybodySpoken() && absl::Now() < end) {
    Poll().IgnoreError();  // what it finds is in the peers' states
    absl::SleepFor(absl::Milliseconds(1));
  }
  std::string text;
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    const Peer& peer = peers_[r];
    const std::string missing =
        sequence > 0 ? absl::StrFormat("it is missing from '%s' (operation %d)", name, sequence)
                     : std::string("no operation was under way");
    if (peer.state == State::kDead) {
      text += absl::StrFormat("  rank %d is dead: %s\n", r, missing);
    } else if (peer.state == State::kSilent) {
      text += absl::StrFormat("  rank %d does not answer (stopped, or cut off): %s\n", r, missing);
    } else if (peer.answer.entered < sequence) {
      text += absl::StrFormat(
          "  rank %d lives but has not entered '%s' (operation %d): its last is '%s' (%d)\n", r,
          name, sequence, peer.answer.entered_name, peer.answer.entered);
    } else {
      text += absl::StrFormat("  rank %d lives and is in '%s' (operation %d)\n", r,
                              peer.answer.entered_name, peer.answer.entered);
    }
  }
  return text;
}

void RankWatch::SayAborting() {
  for (int r = 0; r < static_cast<int>(peers_.size()); ++r) {
    if (r != rank_) Send(r, Kind::kAborting);
  }
  const absl::Time end = absl::Now() + absl::Milliseconds(200);
  while (!sending_.empty() && absl::Now() < end) Poll().IgnoreError();
}

void RankWatch::Stop() {
  for (Peer& peer : peers_) {
    if (peer.request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&peer.request);
    MPI_Wait(&peer.request, MPI_STATUS_IGNORE);
  }
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

}  // namespace switchyard
