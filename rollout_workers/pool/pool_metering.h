// What a pool call costs, exactly, in integers of pico-dollars. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "rollout_workers/pool/protocols/pool_protocol.h"

namespace routewright {

// Counts the tokens of a text.
using TokenCounter = std::function<int64_t(std::string_view)>;

// One token per four bytes, rounded up: for endpoints without usage, when there is nothing better.
int64_t CountFourByteTokens(std::string_view text);

// False for counts that cannot be: negative ones, more cached tokens than tokens, none for a text
// that has some, or 8192 more than there are bytes of text or tokens asked for (a server may add a
// system text and special tokens).
bool IsPlausibleUsage(const TokenUsage& usage, std::string_view prompt, std::string_view text,
                      int max_reply_tokens);

// What one attempt adds to its call.
struct MeteredTokens {
  TokenUsage usage;
  bool is_estimated = false;
};
// Of an attempt that got a response of status 200, `reply` being what came of it: plausible usage
// as it is; or own counts, flagged, if any text came or the reply is a valid one; or nothing.
// Attempts without a 200 cost nothing.
MeteredTokens MeterAttempt(const PoolReply& reply, std::string_view prompt, int max_reply_tokens,
                           const TokenCounter& count_tokens);

// Σ tokens × price: a token at 1 micro-dollar per 1M tokens costs 1 pico-dollar. Cached input
// tokens have their own price (default: input_price). Saturates at 2^63 − 1.
int64_t CostPicousd(const PoolModelConfig& model, const TokenUsage& usage);

// Adds an attempt's tokens and cost to its call. Saturates too.
void AddToCall(const PoolModelConfig& model, const MeteredTokens& attempt, PoolCall& call);

}  // namespace routewright
