#include "policy/decoder/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "common/check.h"
#include "common/random.h"

namespace routewright {
namespace {

// The inverse CDF first finds the block of ids that holds the draw, then the id in it, so that only
// the blocks' sums need be kept. The block size is part of the result's last bits: don't change it.
constexpr size_t kBlock = 256;

// softmax(logits / temperature), never held as a whole.
class Distribution {
 public:
  Distribution(std::span<const float> logits, double temperature)
      : logits_(logits), inverse_temperature_(1.0 / (temperature == 0 ? 1.0 : temperature)) {
    RW_CHECK(!logits.empty() && temperature >= 0) << "temperature " << temperature;
    largest_ = std::max_element(logits.begin(), logits.end()) - logits.begin();
  }

  size_t largest() const { return largest_; }

  // Proportional to the probability; the largest logit has weight 1.
  double Weight(size_t id) const { return std::exp(Exponent(id)); }

  double Logprob(size_t id, double total_weight) const {
    return Exponent(id) - std::log(total_weight);
  }

  double BlockWeight(size_t block) const {
    const size_t end = std::min(logits_.size(), (block + 1) * kBlock);
    double sum = 0;
    for (size_t id = block * kBlock; id < end; ++id) sum += Weight(id);
    return sum;
  }

  size_t num_blocks() const { return (logits_.size() + kBlock - 1) / kBlock; }

  double TotalWeight() const {
    double sum = 0;
    for (size_t block = 0; block < num_blocks(); ++block) sum += BlockWeight(block);
    return sum;
  }

 private:
  // logits / temperature, relative to the largest: at most 0. The difference is taken first, so
  // that a tiny temperature overflows to -inf (weight 0) and never to inf - inf.
  double Exponent(size_t id) const {
    const double difference =
        static_cast<double>(logits_[id]) - static_cast<double>(logits_[largest_]);
    return difference == 0 ? 0 : difference * inverse_temperature_;
  }

  std::span<const float> logits_;
  double inverse_temperature_;
  size_t largest_ = 0;
};

// The first id of [begin, end) at which the running weight passes `target`; the last one of any
// weight if rounding leaves the sum short of it.
size_t FindInBlock(const Distribution& distribution, size_t begin, size_t end, double target) {
  double running = 0;
  size_t last = begin;
  for (size_t id = begin; id < end; ++id) {
    const double weight = distribution.Weight(id);
    if (weight > 0) last = id;
    running += weight;
    if (running > target) return id;
  }
  return last;
}

}  // namespace

SampledToken SampleToken(std::span<const float> logits, double temperature, uint64_t key,
                         uint64_t counter) {
  const Distribution distribution(logits, temperature);
  if (temperature == 0) {
    const size_t id = distribution.largest();
    return {static_cast<uint32_t>(id),
            static_cast<float>(distribution.Logprob(id, distribution.TotalWeight()))};
  }
  std::vector<double> block_weights(distribution.num_blocks());
  double total = 0;
  for (size_t block = 0; block < block_weights.size(); ++block) {
    block_weights[block] = distribution.BlockWeight(block);
    total += block_weights[block];
  }
  double target = RandomUniform(key, counter) * total;
  // The last block of any weight, should rounding leave the sum short of the target.
  size_t chosen = 0;
  for (size_t block = 0; block < block_weights.size(); ++block) {
    if (block_weights[block] > 0) chosen = block;
    if (block_weights[block] > target) break;
    if (block + 1 < block_weights.size()) target -= block_weights[block];
  }
  const size_t begin = chosen * kBlock;
  const size_t id =
      FindInBlock(distribution, begin, std::min(logits.size(), begin + kBlock), target);
  return {static_cast<uint32_t>(id), static_cast<float>(distribution.Logprob(id, total))};
}

SampledToken SampleTokenAmong(std::span<const float> logits, double temperature, uint64_t key,
                              uint64_t counter, std::span<const uint32_t> allowed) {
  RW_CHECK(!allowed.empty()) << "no token is allowed";
  std::vector<float> allowed_logits;
  for (uint32_t id : allowed) {
    RW_CHECK(id < logits.size()) << "token " << id << " of " << logits.size();
    allowed_logits.push_back(logits[id]);
  }
  const uint32_t chosen = allowed[SampleToken(allowed_logits, temperature, key, counter).token_id];
  return {chosen, TokenLogprob(logits, temperature, chosen)};
}

float TokenLogprob(std::span<const float> logits, double temperature, uint32_t token_id) {
  RW_CHECK(token_id < logits.size()) << "token " << token_id << " of " << logits.size();
  const Distribution distribution(logits, temperature);
  return static_cast<float>(distribution.Logprob(token_id, distribution.TotalWeight()));
}

}  // namespace routewright
