// One episode as a pure state machine: no sockets, no tensors, no clocks. Its owner
// starts the round or the pool call that it asks for, tells it what came of that, and in
// the end gets the trajectory:
//
//   Begin ─▶ round ─▶ RoundFinished ─▶ pool call ─▶ PoolCallFinished ─▶ round ─▶ … ─▶ Trajectory
//
// max_rounds routing rounds, then one last round with calls disabled. Every token is recorded with
// who wrote it, as it is sampled or fed; nothing is decoded and encoded again. Actions, mask and
// scores come from policy-sampled tokens.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "policy/tokenizer/tokenizer.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "rollout_workers/episode/model_list.h"
#include "rollout_workers/episode/prompt.h"
#include "rollout_workers/episode/router_protocol.h"
#include "rollout_workers/generator/generator.h"
#include "rollout_workers/pool/pool_client.h"

namespace routewright {

// What all episodes of a worker share. Constant; everything must outlive the episodes.
struct EpisodeContext {
  const Tokenizer* tokenizer = nullptr;
  const Prompt* prompt = nullptr;
  const ModelList* models = nullptr;
  EpisodeConfig limits;
};

// What an episode wants next: a round, a pool call, or, as the last thing, to
// hand over its trajectory.
using EpisodeCommand = std::variant<RoundRequest, PoolRequest, Trajectory>;

// One thread. How an episode ends:
//   ANSWERED     the policy answered
//   NO_ANSWER    the last round ended without an answer
//   OVERFLOW     the prompt passes max_prompt_tokens (then no tokens are recorded), or the
//                sequence would pass max_sequence_tokens: an observation that does not fit is left
//                out, and no call is made whose observation could not fit
//   POOL_FAILED  a pool call failed for reasons outside the policy; nothing is scored
//   CANCELLED    a pool call was cancelled, or the owner ended it
// A trajectory has its token arrays, actions, pool calls, components and times; worker_id,
// worker_epoch and sequence_number are the worker's to fill in, rewards the learner's. Action.model
// is what the policy named, also where spec.forced_model or spec.random_model sent the call
// elsewhere (PoolCall.model).
class Episode {
 public:
  // spec.forced_model must be empty or a listed name.
  Episode(const EpisodeContext* context, EpisodeSpec spec, int attempt);

  EpisodeCommand Begin();
  // The result of the round that was asked for.
  EpisodeCommand RoundFinished(const RoundResult& result);
  // The end of the pool call that was asked for.
  EpisodeCommand PoolCallFinished(PoolCall call);
  // Ends the episode wherever it stands; nothing may be told to it afterwards.
  Trajectory End(EpisodeStatus status);

 private:
  enum class Waiting { kBegin, kRound, kPoolCall, kNothing };

  EpisodeCommand StartRound(std::vector<uint32_t> new_tokens);
  EpisodeCommand StartCall(const Action& action);
  // Records `body` as an observation and starts the next round with it;
  // OVERFLOW if it does not fit.
  EpisodeCommand Observe(const std::string& body);
  void RecordSampled(const RoundResult& result);
  const Action& RecordAction(const RoundResult& result);
  void RecordModelTokens(const RoundResult& result, const ByteRange& name, Action& action) const;
  void RecordGiven(const std::vector<uint32_t>& tokens, Provenance provenance);

  bool is_last_round() const { return round_ >= context_->limits.max_rounds(); }
  // Tokens that the sequence may still grow by.
  int room() const { return context_->limits.max_sequence_tokens() - trajectory_.token_ids_size(); }
  std::string CallTarget(const Action& action) const;

  const EpisodeContext* const context_;
  const EpisodeSpec spec_;
  Waiting waiting_ = Waiting::kBegin;
  int round_ = 0;
  int granted_tokens_ = 0;  // max_new_tokens of the current round
  Trajectory trajectory_;
};

}  // namespace routewright
