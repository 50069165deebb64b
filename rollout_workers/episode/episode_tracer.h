// Records where one episode's time goes, if its spec says so: the wait for its weights, its rounds
// with their prefill and decode, its pool calls. Without is_traced nothing is done. One thread.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "proto/episode.pb.h"
#include "rollout_workers/generator/generator.h"

namespace routewright {

class EpisodeTracer {
 public:
  // `leased`: when the worker got the episode, which begins now.
  EpisodeTracer(const EpisodeSpec& spec, absl::Time leased);

  bool is_on() const { return trace_.has_value(); }
  void WaitBegins();  // for a round or a pool call
  void RoundEnds(const RoundResult& result);
  void CallEnds(const PoolCall& call);
  // The episode is over.
  void Finish(Trajectory& trajectory);

 private:
  void AddSpan(TraceSpan span);

  std::optional<EpisodeTrace> trace_;
  absl::Time since_;  // the last WaitBegins
};

}  // namespace routewright
