#include "rollout_workers/pool/pool_metering.h"

#include <algorithm>
#include <limits>

namespace routewright {
namespace {

constexpr int64_t kUnseenTokens =
    8192;  // of a server's own system text and special tokens, at most
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

int64_t Saturated(__int128 value) { return value > kMost ? kMost : static_cast<int64_t>(value); }

int64_t SumOfBoth(int64_t a, int64_t b) { return Saturated(__int128{a} + b); }

}  // namespace

int64_t CountFourByteTokens(std::string_view text) {
  return static_cast<int64_t>((text.size() + 3) / 4);
}

bool IsPlausibleUsage(const TokenUsage& usage, std::string_view prompt, std::string_view text,
                      int max_reply_tokens) {
  if (usage.input_tokens < 0 || usage.cached_input_tokens < 0 || usage.output_tokens < 0)
    return false;
  if (usage.cached_input_tokens > usage.input_tokens) return false;
  if (usage.input_tokens == 0 && !prompt.empty()) return false;
  if (usage.output_tokens == 0 && !text.empty()) return false;
  // A token has one byte at least.
  const int64_t most_input = static_cast<int64_t>(prompt.size()) + kUnseenTokens;
  const int64_t most_output =
      std::max<int64_t>(static_cast<int64_t>(text.size()), max_reply_tokens) + kUnseenTokens;
  return usage.input_tokens <= most_input && usage.output_tokens <= most_output;
}

MeteredTokens MeterAttempt(const PoolReply& reply, std::string_view prompt, int max_reply_tokens,
                           const TokenCounter& count_tokens) {
  if (reply.usage.has_value() &&
      IsPlausibleUsage(*reply.usage, prompt, reply.text, max_reply_tokens)) {
    return {*reply.usage, /*is_estimated=*/false};
  }
  const bool is_valid_reply = reply.is_complete && reply.fault.empty();
  if (!is_valid_reply && reply.text.empty()) return {};
  TokenUsage own;
  own.input_tokens = count_tokens(prompt);
  own.output_tokens = count_tokens(reply.text);
  return {own, /*is_estimated=*/true};
}

int64_t CostPicousd(const PoolModelConfig& model, const TokenUsage& usage) {
  const int64_t cached_price =
      model.has_cached_input_price() ? model.cached_input_price() : model.input_price();
  const int64_t fresh_tokens = usage.input_tokens - usage.cached_input_tokens;
  return Saturated(__int128{fresh_tokens} * model.input_price() +
                   __int128{usage.cached_input_tokens} * cached_price +
                   __int128{usage.output_tokens} * model.output_price());
}

void AddToCall(const PoolModelConfig& model, const MeteredTokens& attempt, PoolCall& call) {
  const TokenUsage& usage = attempt.usage;
  call.set_retried_cost_picousd(call.cost_picousd());
  call.set_input_tokens(SumOfBoth(call.input_tokens(), usage.input_tokens));
  call.set_cached_input_tokens(SumOfBoth(call.cached_input_tokens(), usage.cached_input_tokens));
  call.set_output_tokens(SumOfBoth(call.output_tokens(), usage.output_tokens));
  call.set_cost_picousd(SumOfBoth(call.cost_picousd(), CostPicousd(model, usage)));
  call.set_is_estimated(call.is_estimated() || attempt.is_estimated);
}

}  // namespace routewright
