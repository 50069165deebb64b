#include "trainer/comm/operation_log.h"

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace switchyard {

int64_t OperationLog::Ask(std::string_view name, int64_t bytes, int group_size) {
  absl::MutexLock lock(&mutex_);
  Operation operation;
  operation.sequence = ++last_sequence_;
  operation.name = name;
  operation.bytes = bytes;
  operation.group_size = group_size;
  operation.asked = absl::Now();
  operations_.push_back(std::move(operation));
  if (operations_.size() > kKept) operations_.pop_front();
  return last_sequence_;
}

void OperationLog::Enter(int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  Operation* operation = Find(sequence);
  if (operation == nullptr) return;
  operation->entered = absl::Now();
  last_entered_ = *operation;
}

void OperationLog::Finish(int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  Operation* operation = Find(sequence);
  if (operation == nullptr) return;
  operation->finished = absl::Now();
  last_finished_ = *operation;
}

Operation OperationLog::last_entered() const {
  absl::MutexLock lock(&mutex_);
  return last_entered_;
}

Operation OperationLog::last_finished() const {
  absl::MutexLock lock(&mutex_);
  return last_finished_;
}

std::string OperationLog::Describe() const {
  absl::MutexLock lock(&mutex_);
  std::string text;
  for (const Operation& operation : operations_) {
    const auto after = [&](absl::Time time) {
      if (time == absl::InfiniteFuture()) return std::string("not");
      return absl::StrFormat("+%.1f ms", absl::ToDoubleMilliseconds(time - operation.asked));
    };
    text +=
        absl::StrFormat("  %8d  %s  %d bytes  %d ranks  asked %s  entered %s  finished %s\n",
                        operation.sequence, operation.name, operation.bytes, operation.group_size,
                        absl::FormatTime("%H:%M:%E3S", operation.asked, absl::UTCTimeZone()),
                        after(operation.entered), after(operation.finished));
  }
  return text;
}

Operation* OperationLog::Find(int64_t sequence) {
  if (operations_.empty()) return nullptr;
  const int64_t place = sequence - operations_.front().sequence;
  const bool is_kept = place >= 0 && place < static_cast<int64_t>(operations_.size());
  return is_kept ? &operations_[place] : nullptr;
}

}  // namespace switchyard
