#include "common/trace.h"

#include <algorithm>
#include <atomic>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace routewright {
namespace {

struct Trace {
  std::atomic<bool> is_on = false;
  absl::Mutex mutex;
  std::vector<TraceSpan> spans ABSL_GUARDED_BY(mutex);
};

Trace& TheTrace() {
  static auto* trace = new Trace;
  return *trace;
}

}  // namespace

bool IsTracing() { return TheTrace().is_on.load(std::memory_order_relaxed); }

void BeginTrace() {
  Trace& trace = TheTrace();
  absl::MutexLock lock(&trace.mutex);
  trace.spans.clear();
  trace.is_on = true;
}

std::vector<TraceSpan> EndTrace() {
  Trace& trace = TheTrace();
  absl::MutexLock lock(&trace.mutex);
  trace.is_on = false;
  return std::exchange(trace.spans, {});
}

TraceSpan MakeSpan(std::string_view name, absl::Time start, absl::Time end,
                   const SpanDetails& details) {
  TraceSpan span;
  span.set_name(std::string(name));
  // Both ends are cut to whole microseconds, so that what lies in another still does.
  span.set_start_us(absl::ToUnixMicros(start));
  span.set_duration_us(std::max<int64_t>(0, absl::ToUnixMicros(end) - span.start_us()));
  for (const auto& [key, value] : details) (*span.mutable_details())[key] = value;
  return span;
}

void RecordSpan(std::string_view track, TraceSpan span) {
  if (!IsTracing()) return;
  span.set_track(std::string(track));
  Trace& trace = TheTrace();
  absl::MutexLock lock(&trace.mutex);
  if (trace.is_on) trace.spans.push_back(std::move(span));
}

ScopedSpan::~ScopedSpan() {
  if (is_recorded()) RecordSpan(kTrainingTrack, MakeSpan(name_, start_, absl::Now(), details_));
}

void ScopedSpan::AddDetail(std::string key, std::string value) {
  if (is_recorded()) details_.emplace_back(std::move(key), std::move(value));
}

}  // namespace routewright
