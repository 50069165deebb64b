// The head of a language model without its logits: log-probability of one token per row and the
// entropy of the row's distribution, softmax(hidden · weightᵀ / temperature). Two [chunk, V]
// buffers exist at a time, of TokenLogprobChunk(V, …) rows; the backward computes the logits again.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/token_logprob/head_chunk.h"

namespace routewright {

// All [N], f32 (f64 if hidden is f64).
struct TokenLogprobs {
  at::Tensor logprobs;         // log p(target)
  at::Tensor entropies;        // −Σ p log p, nats
  at::Tensor log_normalizers;  // log Σ exp(logit / temperature): the backward needs it
};

//   hidden [N, C], weight [V, C]  one floating type and device    targets [N] int64, in [0, V)
//   temperature > 0
//   max_chunk_bytes  that the two buffers together may take; one row is the least
// Sums are made in f32, logits too (bf16 weights are widened a slice of at most 8 MiB at a time).
// No autograd: pair it with the backward.
TokenLogprobs TokenLogprobForward(const at::Tensor& hidden, const at::Tensor& weight,
                                  const at::Tensor& targets, double temperature,
                                  int64_t max_chunk_bytes = kTokenLogprobChunkBytes);

// From d_logprobs, d_entropies [N]: returns d_hidden [N, C] in hidden's type and adds to
// weight_gradient [V, C], which is f32 (f64 if hidden is f64). With p = softmax, H = entropy:
//   d_logit = (−p · (d_logprob + d_entropy · (log p + H)) + d_logprob · [target]) / temperature
at::Tensor TokenLogprobBackward(const at::Tensor& hidden, const at::Tensor& weight,
                                const at::Tensor& targets, double temperature,
                                const TokenLogprobs& forward, const at::Tensor& d_logprobs,
                                const at::Tensor& d_entropies, at::Tensor weight_gradient,
                                int64_t max_chunk_bytes = kTokenLogprobChunkBytes);

}  // namespace routewright
