// The policy (or critic) as the trainer runs it: forward and backward over packed tokens, block by
// block, with LibTorch's autograd inside a block and the chain between blocks by hand, so that only
// one block's weights need be present at a time. The rollout workers' incremental twin is
// policy/decoder/decoder.h; both must give the same numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "kernels/token_logprob/token_logprob.h"
#include "policy/model/parameter_layout.h"
#include "policy/transformer/weight_provider.h"

namespace routewright {

// Packed sequences: no padding. Sequence b is tokens [offsets[b], offsets[b+1]); it attends to
// itself only. T = 0 (offsets {0}) is a pass that computes nothing but asks its weight provider for
// the same as any other: what a rank without tokens does while the others have some.
struct PackedTokens {
  at::Tensor token_ids;          // [T] int64, on the compute device
  at::Tensor positions;          // [T] int64, from 0 in each sequence
  std::vector<int64_t> offsets;  // [B+1]
};

// Of the tokens that were asked for.
struct TokenScores {
  at::Tensor logprobs;   // [N] f32
  at::Tensor entropies;  // [N] f32, nats
  at::Tensor hidden;     // [N, C] compute type: what the logits were made from, without gradient
};

// One forward, kept for its backward. Destroying it without a backward is fine
// (evaluation). One thread.
class ForwardPass {
 public:
  virtual ~ForwardPass() = default;

  // HeadKind::kLanguageModel. For each n: the log-probability of target_ids[n] [N] int64 given the
  // hidden state at packed index rows[n] [N] int64 (so a token's own row is the one before it),
  // logits divided by `temperature` > 0. Never holds more than a chunk of [chunk, V] logits.
  virtual TokenScores ScoreTokens(const at::Tensor& rows, const at::Tensor& target_ids,
                                  double temperature) = 0;
  // HeadKind::kLanguageModel, without gradient: ScoreTokens' `hidden` alone, [N, C] at rows.
  virtual at::Tensor Hidden(const at::Tensor& rows) = 0;
  // HeadKind::kValue. Values at rows: [N] f32.
  virtual at::Tensor Values(const at::Tensor& rows) = 0;

  // Backward from d(loss)/d(logprobs) and d(loss)/d(entropies) [N] of the one ScoreTokens call,
  // and d(loss)/d(hidden) [N, C] if something else read it, through every block into the
  // provider's gradient buffers. Once.
  virtual void BackwardScores(const at::Tensor& d_logprobs, const at::Tensor& d_entropies,
                              const at::Tensor& d_hidden = {}) = 0;
  // Backward from d(loss)/d(values) [N] of the one Values call.
  virtual void BackwardValues(const at::Tensor& d_values) = 0;
};

struct TransformerOptions {
  // A pass with gradient keeps only each transformer block's input [T, C] and computes the
  // block again in the backward.
  bool recompute_activations = false;
  int64_t max_head_chunk_bytes = kTokenLogprobChunkBytes;  // of the head's [chunk, V] buffers
};

class Transformer {
 public:
  // `weights` must outlive this object, and this object every ForwardPass.
  Transformer(const ModelConfig& config, HeadKind head, WeightProvider* weights,
              TransformerOptions options = {});
  ~Transformer();

  const ParameterLayout& layout() const;

  // with_gradient = false keeps nothing for a backward. Positions must be below max_positions (a
  // wrong shape, id or position is the caller's mistake and aborts).
  std::unique_ptr<ForwardPass> Forward(const PackedTokens& tokens, bool with_gradient);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace routewright
