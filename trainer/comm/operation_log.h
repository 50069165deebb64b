// The last operations of this rank's communicators, numbered in the order in which the caller asked
// for them, which is the same on every rank: what a report about a lost rank says of each. Thread-
// safe.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace switchyard {

struct Operation {
  int64_t sequence = 0;  // 1, 2, …; 0: none
  std::string name;
  int64_t bytes = 0;
  int group_size = 0;  // ranks that take part
  absl::Time asked = absl::InfinitePast();
  absl::Time entered = absl::InfiniteFuture();  // on the wire
  absl::Time finished = absl::InfiniteFuture();
};

class OperationLog {
 public:
  // Returns the operation's number.
  int64_t Ask(std::string_view name, int64_t bytes, int group_size);
  void Enter(int64_t sequence);
  void Finish(int64_t sequence);

  Operation last_entered() const;
  Operation last_finished() const;
  // A line each for the last kKept operations, oldest first.
  std::string Describe() const;

  static constexpr size_t kKept = 64;

 private:
  Operation* Find(int64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::deque<Operation> operations_ ABSL_GUARDED_BY(mutex_);
  int64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  Operation last_entered_ ABSL_GUARDED_BY(mutex_);
  Operation last_finished_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
