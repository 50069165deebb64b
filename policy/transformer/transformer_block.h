// The mathematics of one transformer block, on packed tokens, in whatever
// floating type its weights have.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "policy/model/model_config.h"
#include "policy/transformer/packed_attention.h"

namespace routewright {

// What is the same for every block of one forward.
struct BlockContext {
  const ModelConfig* config = nullptr;
  AttentionPlan attention;
  at::Tensor cosines;  // [T, 1, D/2] of each token's rotation angles, in the compute type
  at::Tensor sines;
};

// A block's flat buffer [P] as the tensors that BlockForward uses, fused where they are adjacent:
// input norm [C], qkv [(H+2K)·D, C], its bias [(H+2K)·D] if biased, query and key head norms [D]
// each if normed, output [C, H·D], post-attention norm [C], gate and up [2I, C], down [C, I]. Works
// for weights and gradients alike.
std::vector<at::Tensor> SplitBlock(const at::Tensor& flat, const ModelConfig& config);

// x [T, C] → [T, C]: x + attention(norm(x)), then + SwiGLU(norm(·)). `weights`
// as SplitBlock gives them.
at::Tensor BlockForward(const at::Tensor& x, const std::vector<at::Tensor>& weights,
                        const BlockContext& context);

}  // namespace routewright
