// The last operations of this rank's communicators, numbered in the order in which the
// caller asked for them, which is the same on every rank: what a notice about a lost rank
// says of each. Thread- safe.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace routewright {

struct Operation {
  int64_t sequence = 0;  // 1, 2, …; 0: none
  std::string name;
  int64_t bytes = 0;
  std::vector<int> ranks;  // those of the world that take part, ascending
  absl::Time asked = absl::InfinitePast();
  absl::Time entered = absl::InfiniteFuture();  // on the wire
  absl::Time finished = absl::InfiniteFuture();
};

// "rank 3", "ranks 0-3", "ranks 0,2,4-7".   ranks: ascending
std::string RanksText(std::span<const int> ranks);

class OperationLog {
 public:
  // The step that is made from now on, for notices; -1: none yet.
  void BeginStep(int64_t step);
  int64_t step() const;
  // Returns the operation's number.
  int64_t Ask(std::string_view name, int64_t bytes, std::vector<int> ranks);
  void Enter(int64_t sequence);
  void Finish(int64_t sequence);

  // What all else waits for: the first operation asked for that is not
  // finished. `sequence` 0: none.
  Operation oldest_unfinished() const;
  // The one that finished last, whatever was asked for before it.
  Operation last_finished() const;
  bool HasEntered(int64_t sequence) const;
  // A line each for the last kKept operations, oldest first, and all since the oldest unfinished.
  std::string Describe() const;

  static constexpr size_t kKept = 64;

 private:
  // Its place in operations_; -1: not asked for yet, or dropped.
  int64_t Find(int64_t sequence) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  // Without gaps in their numbers; the front one is finished if there are more than kKept.
  std::deque<Operation> operations_ ABSL_GUARDED_BY(mutex_);
  int64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t step_ ABSL_GUARDED_BY(mutex_) = -1;
  Operation last_finished_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace routewright
