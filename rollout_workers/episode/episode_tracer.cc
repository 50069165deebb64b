#include "rollout_workers/episode/episode_tracer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/trace.h"

namespace routewright {
namespace {

const char* StopName(StopReason reason) {
  switch (reason) {
    case StopReason::kStopString:
      return "stop string";
    case StopReason::kEndToken:
      return "end token";
    case StopReason::kMaxTokens:
      return "most tokens";
    case StopReason::kCancelled:
      return "cancelled";
  }
  return "";
}

}  // namespace

EpisodeTracer::EpisodeTracer(const EpisodeSpec& spec, absl::Time leased) {
  if (!spec.is_traced()) return;
  trace_.emplace();
  trace_->set_start_us(absl::ToUnixMicros(leased));
  since_ = absl::Now();
  AddSpan(MakeSpan("wait for weights", leased, since_));
}

void EpisodeTracer::AddSpan(TraceSpan span) { *trace_->add_spans() = std::move(span); }

void EpisodeTracer::WaitBegins() {
  if (is_on()) since_ = absl::Now();
}

void EpisodeTracer::RoundEnds(const RoundResult& result) {
  if (!is_on()) return;
  const absl::Time now = absl::Now();
  AddSpan(MakeSpan(absl::StrCat("round ", result.round), since_, now,
                   {{"sampled_tokens", absl::StrCat(result.token_ids.size())},
                    {"stopped_by", StopName(result.stop_reason)}}));
  const absl::Time first_token = std::min(now, since_ + absl::Milliseconds(result.first_token_ms));
  AddSpan(MakeSpan("prefill", since_, first_token));
  AddSpan(MakeSpan("decode", first_token, now));
}

void EpisodeTracer::CallEnds(const PoolCall& call) {
  if (!is_on()) return;
  AddSpan(MakeSpan(absl::StrCat("call ", call.model()), since_, absl::Now(),
                   {{"outcome", CallOutcome_Name(call.outcome())},
                    {"attempts", absl::StrCat(call.attempts())},
                    {"input_tokens", absl::StrCat(call.input_tokens())},
                    {"output_tokens", absl::StrCat(call.output_tokens())},
                    {"cost_picousd", absl::StrCat(call.cost_picousd())}}));
}

void EpisodeTracer::Finish(Trajectory& trajectory) {
  if (!is_on()) return;
  trace_->set_duration_us(
      std::max<int64_t>(0, absl::ToUnixMicros(absl::Now()) - trace_->start_us()));
  *trajectory.mutable_trace() = *std::move(trace_);
  trace_.reset();
}

}  // namespace routewright
