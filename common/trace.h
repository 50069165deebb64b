// Where this process' time goes: spans, recorded only while a trace is on. Off, a span costs one
// load of an atomic. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/trace.pb.h"

namespace routewright {

// Forgets what was recorded, and records from now on.
void BeginTrace();
// What was recorded since BeginTrace, in the order in which it ended. Nothing more is recorded.
std::vector<TraceSpan> EndTrace();
bool IsTracing();

using SpanDetails = std::vector<std::pair<std::string, std::string>>;

TraceSpan MakeSpan(std::string_view name, absl::Time start, absl::Time end,
                   const SpanDetails& details = {});

// Ignored while no trace is on.
void RecordSpan(std::string_view track, TraceSpan span);

// Of a rank's one computing thread: its spans nest. Spans of any other track may overlap.
inline constexpr char kTrainingTrack[] = "training";

// From its making to its end, on the track of the computing thread.
class ScopedSpan {
 public:
  // `name` must outlive the span.
  explicit ScopedSpan(const char* name)
      : name_(name), start_(IsTracing() ? absl::Now() : absl::InfiniteFuture()) {}
  ~ScopedSpan();
  ScopedSpan(const ScopedSpan&) = delete;
  ScopedSpan& operator=(const ScopedSpan&) = delete;

  // Whether it will be recorded.
  bool is_recorded() const { return start_ != absl::InfiniteFuture(); }
  void AddDetail(std::string key, std::string value);

 private:
  const char* const name_;
  const absl::Time start_;  // InfiniteFuture: no trace was on
  SpanDetails details_;
};

}  // namespace routewright
