// The mathematics of one transformer block, on packed tokens, in whatever
// floating type its weights have.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "policy/model/block_tensors.h"
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

// A block's flat buffer [P] as its tensors, which are views of it; undefined: the architecture has
// none. Works for weights and gradients alike. `shapes` as BlockTensorShapes gives them.
BlockTensors<at::Tensor> SplitBlock(const at::Tensor& flat,
                                    const BlockTensors<JoinedTensor>& shapes);

// Those that are defined, in the buffer's order.
std::vector<at::Tensor> ListTensors(const BlockTensors<at::Tensor>& tensors);

// x [T, C] → [T, C]: x + attention(norm(x)), then + SwiGLU(norm(·)).
at::Tensor BlockForward(const at::Tensor& x, const BlockTensors<at::Tensor>& weights,
                        const BlockContext& context);

}  // namespace routewright
