#include "trainer/comm/operation_log.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/trace.h"

namespace routewright {
namespace {

bool IsFinished(const Operation& operation) { return operation.finished != absl::InfiniteFuture(); }

}  // namespace

std::string RanksText(std::span<const int> ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const char* comma = "";
  for (size_t begin = 0; begin < ranks.size();) {
    size_t end = begin + 1;  // of the run of successive ranks
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    absl::StrAppend(&text, comma, ranks[begin]);
    if (end - begin > 1) absl::StrAppend(&text, end - begin > 2 ? "-" : ",", ranks[end - 1]);
    comma = ",";
    begin = end;
  }
  return text;
}

static void RecordOperation(const Operation& operation) {
  if (operation.entered > operation.finished) return;  // never on the wire
  const absl::Duration queued = operation.entered - operation.asked;
  RecordSpan("collective",
             MakeSpan(operation.name, operation.entered, operation.finished,
                      {{"bytes", absl::StrCat(operation.bytes)},
                       {"ranks", RanksText(operation.ranks)},
                       {"queued_us", absl::StrCat(absl::ToInt64Microseconds(queued))}}));
}

void OperationLog::BeginStep(int64_t step) {
  absl::MutexLock lock(&mutex_);
  step_ = step;
}

int64_t OperationLog::step() const {
  absl::MutexLock lock(&mutex_);
  return step_;
}

int64_t OperationLog::Ask(std::string_view name, int64_t bytes, std::vector<int> ranks) {
  absl::MutexLock lock(&mutex_);
  Operation operation;
  operation.sequence = ++last_sequence_;
  operation.name = name;
  operation.bytes = bytes;
  operation.ranks = std::move(ranks);
  operation.asked = absl::Now();
  operations_.push_back(std::move(operation));
  while (operations_.size() > kKept && IsFinished(operations_.front())) operations_.pop_front();
  return last_sequence_;
}

void OperationLog::Enter(int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (const int64_t place = Find(sequence); place >= 0) operations_[place].entered = absl::Now();
}

void OperationLog::Finish(int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  const int64_t place = Find(sequence);
  if (place < 0) return;
  operations_[place].finished = absl::Now();
  last_finished_ = operations_[place];
  if (IsTracing()) RecordOperation(last_finished_);
}

Operation OperationLog::oldest_unfinished() const {
  absl::MutexLock lock(&mutex_);
  const auto oldest = std::find_if_not(operations_.begin(), operations_.end(), IsFinished);
  return oldest == operations_.end() ? Operation() : *oldest;
}

Operation OperationLog::last_finished() const {
  absl::MutexLock lock(&mutex_);
  return last_finished_;
}

bool OperationLog::HasEntered(int64_t sequence) const {
  absl::MutexLock lock(&mutex_);
  if (sequence > last_sequence_) return false;
  const int64_t place = Find(sequence);  // one that was dropped is finished
  return place < 0 || operations_[place].entered != absl::InfiniteFuture();
}

std::string OperationLog::Describe() const {
  absl::MutexLock lock(&mutex_);
  std::string text;
  for (const Operation& operation : operations_) {
    const auto after = [&](absl::Time time) {
      if (time == absl::InfiniteFuture()) return std::string("not");
      return absl::StrFormat("+%.1f ms", absl::ToDoubleMilliseconds(time - operation.asked));
    };
    text += absl::StrFormat("  %8d  %s  %d bytes  %s  asked %s  entered %s  finished %s\n",
                            operation.sequence, operation.name, operation.bytes,
                            RanksText(operation.ranks),
                            absl::FormatTime("%H:%M:%E3S", operation.asked, absl::UTCTimeZone()),
                            after(operation.entered), after(operation.finished));
  }
  return text;
}

int64_t OperationLog::Find(int64_t sequence) const {
  if (operations_.empty() || sequence > last_sequence_) return -1;
  return std::max<int64_t>(-1, sequence - operations_.front().sequence);
}

}  // namespace routewright
