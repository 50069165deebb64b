// Draws a token from logits. Counter-based: the draw depends on (key, counter) only. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <span>

namespace routewright {

struct SampledToken {
  uint32_t token_id = 0;
  // Of the distribution sampled from, after temperature; greedy: of the plain softmax.
  float logprob = 0;
};

// temperature 0: the first largest logit. Else inverse CDF of softmax(logits / temperature) in
// ascending id order at RandomUniform(key, counter). f64 inside.
SampledToken SampleToken(std::span<const float> logits, double temperature, uint64_t key,
                         uint64_t counter);

// As SampleToken, but of the tokens `allowed` alone (not empty, ids < V, ascending), by their share of what
// the distribution gives them; the log-probability is that of the whole distribution all the same.
SampledToken SampleTokenAmong(std::span<const float> logits, double temperature, uint64_t key,
                              uint64_t counter, std::span<const uint32_t> allowed);

// log softmax(logits / temperature)[token_id], as SampleToken reports it.
float TokenLogprob(std::span<const float> logits, double temperature, uint32_t token_id);

}  // namespace routewright
