// Continues many episodes' token sequences at once, behind an interface: the CPU engine of this
// folder now, others later. Episodes join and leave the running batch at any step; an episode's
// cache survives its rounds. One thread calls everything.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace routewright {

class PolicyWeights;

// Text that a round must go on with, once.
struct GuidedText {
  std::string after;  // the first time that the round's bytes contain this, …
  std::string text;   // … the next bytes are this; white space may come before it. Empty: nothing
};

// One round of one episode.
struct RoundRequest {
  std::string episode_id;
  int round = 0;
  uint64_t stream_key = 0;   // StreamKey(run_seed, episode_id, round)
  double temperature = 1.0;  // 0 = greedy
  int max_new_tokens = 0;    // > 0
  // Tokens since the last round's end (first round: the prompt). Everything before
  // is in the episode's cache.
  std::vector<uint32_t> new_token_ids;
  // A round stops at the first sampled token after which its bytes contain one of
  // these, or at an end token.
  std::vector<std::string> stop_strings;
  // Its tokens are the policy's own choice among those that spell the text.
  GuidedText guided_text;
};

enum class StopReason { kStopString, kEndToken, kMaxTokens, kCancelled };

struct RoundResult {
  std::string episode_id;
  int round = 0;
  std::vector<uint32_t> token_ids;       // sampled, the stopping token included
  std::vector<float> logprobs;           // aligned with token_ids; of the policy, guided or not
  std::vector<int64_t> policy_versions;  // aligned with token_ids
  StopReason stop_reason = StopReason::kMaxTokens;
  bool is_guided = false;     // guided_text is there in full
  double first_token_ms = 0;  // wall time from start to the first sampled token
  double generate_ms = 0;     // … to stop
};

class Generator {
 public:
  virtual ~Generator() = default;
  // Queues a round. Fails: kInvalidArgument (no token to go on from, id out of range),
  // kOutOfRange (the sequence leaves no position to sample at). A round that reaches the last
  // position stops there with kMaxTokens.
  virtual absl::Status StartRound(RoundRequest request) = 0;
  // Advances every running round by one token (prompts by a chunk). Returns
  // the rounds that stopped.
  virtual absl::StatusOr<std::vector<RoundResult>> Step() = 0;
  virtual bool is_idle() const = 0;
  // Drops an episode's cache, and its running round without a result.
  virtual void EndEpisode(const std::string& episode_id) = 0;
  // Swaps the weights. Caches of episodes still alive are dropped, their tokens are run
  // again at the next round.
  virtual absl::Status SetWeights(std::shared_ptr<const PolicyWeights> weights,
                                  int64_t policy_version) = 0;
  virtual int64_t policy_version() const = 0;
};

}  // namespace routewright
