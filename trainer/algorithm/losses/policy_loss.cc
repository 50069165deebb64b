#include "trainer/algorithm/losses/policy_loss.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "common/kind_table.h"

namespace routewright {
namespace {

constexpr double kMaxLogRatio = 20.0;

// What one token adds to the loss, before its weight, and the derivatives of that.
struct TokenLoss {
  double loss = 0.0;
  double by_log_ratio = 0.0;  // ∂loss/∂log ρ
  double by_logprob = 0.0;    // ∂loss/∂log π where ρ is a constant
  bool is_clipped = false;
};

struct TokenTerms {
  double ratio;
  double logprob;
  double advantage;
};

TokenLoss Clip(const LossConfig& config, const TokenTerms& token) {
  const double clipped_ratio =
      std::clamp(token.ratio, 1.0 - config.clip_low(), 1.0 + config.clip_high());
  const double unclipped = -token.advantage * token.ratio;
  const double clipped = -token.advantage * clipped_ratio;
  if (clipped > unclipped) return {.loss = clipped, .is_clipped = true};
  const double bound = -token.advantage * config.dual_clip();
  if (config.dual_clip() > 0.0 && token.advantage < 0.0 && unclipped > bound) {
    return {.loss = bound, .is_clipped = true};
  }
  return {.loss = unclipped, .by_log_ratio = unclipped};
}

TokenLoss Cispo(const LossConfig& config, const TokenTerms& token) {
  const double bound = 1.0 + config.clip_high();
  const double weight = -token.advantage * std::min(token.ratio, bound);
  return {.loss = weight * token.logprob, .by_logprob = weight, .is_clipped = token.ratio > bound};
}

struct Row {
  LossConfig::Surrogate name;
  TokenLoss (*loss)(const LossConfig& config, const TokenTerms& token);
};

constexpr Row kSurrogates[] = {
    {LossConfig::SURROGATE_CLIP, Clip},
    {LossConfig::SURROGATE_CISPO, Cispo},
};

static_assert(HasARowOfEach(kSurrogates, LossConfig::Surrogate_ARRAYSIZE),
              "kSurrogates needs a row of each Surrogate of config.proto, in its order");

// Tokens that share a ratio: [begin, end).
struct Stretch {
  int64_t begin;
  int64_t end;
};

std::vector<Stretch> StretchesOf(const PolicyLossInput& input, const LossConfig& config) {
  std::vector<Stretch> stretches;
  const auto n = static_cast<int64_t>(input.logprobs.size());
  if (config.ratio() == LossConfig::RATIO_SEQUENCES) {
    RW_CHECK(!input.offsets.empty() && input.offsets.back() == n) << "where do trajectories end?";
    for (size_t b = 0; b + 1 < input.offsets.size(); ++b) {
      stretches.push_back({input.offsets[b], input.offsets[b + 1]});
    }
  } else {
    for (int64_t i = 0; i < n; ++i) stretches.push_back({i, i + 1});
  }
  return stretches;
}

}  // namespace

PolicyLoss ComputePolicyLoss(const PolicyLossInput& input, const LossConfig& config) {
  const size_t n = input.logprobs.size();
  RW_CHECK(input.old_logprobs.size() == n && input.advantages.size() == n &&
           input.weights.size() == n)
      << n << " logprobs, " << input.old_logprobs.size() << " old, " << input.advantages.size()
      << " advantages, " << input.weights.size() << " weights";
  const auto loss_of = kSurrogates[config.surrogate() - 1].loss;
  PolicyLoss result;
  result.d_logprobs.resize(n);
  for (const auto& [begin, end] : StretchesOf(input, config)) {
    if (begin == end) continue;
    double log_ratio = 0.0;
    for (int64_t i = begin; i < end; ++i) log_ratio += input.logprobs[i] - input.old_logprobs[i];
    result.old_minus_new -= log_ratio;
    log_ratio /= static_cast<double>(end - begin);
    const bool is_clamped = std::abs(log_ratio) > kMaxLogRatio;
    const double ratio = std::exp(std::clamp(log_ratio, -kMaxLogRatio, kMaxLogRatio));
    double by_log_ratio = 0.0;
    for (int64_t i = begin; i < end; ++i) {
      const TokenLoss token = loss_of(config, {ratio, input.logprobs[i], input.advantages[i]});
      result.loss += input.weights[i] * token.loss;
      result.d_logprobs[i] = input.weights[i] * token.by_logprob;
      result.clipped_tokens += token.is_clipped;
      if (!is_clamped) by_log_ratio += input.weights[i] * token.by_log_ratio;
    }
    by_log_ratio /= static_cast<double>(end - begin);
    for (int64_t i = begin; i < end; ++i) result.d_logprobs[i] += by_log_ratio;
  }
  return result;
}

std::vector<double> TruncatedImportanceWeights(std::span<const double> trainer_logprobs,
                                               std::span<const double> sampler_logprobs,
                                               double cap) {
  RW_CHECK(trainer_logprobs.size() == sampler_logprobs.size())
      << trainer_logprobs.size() << " and " << sampler_logprobs.size();
  std::vector<double> weights(trainer_logprobs.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::min(std::exp(trainer_logprobs[i] - sampler_logprobs[i]), cap);
  }
  return weights;
}

}  // namespace routewright
