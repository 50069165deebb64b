#include "policy/transformer/transformer_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "kernels/matmul/matmul.h"

namespace routewright {
namespace {

// RMSNorm of each query and key head over its own elements; values pass through. Source: Qwen3.
at::Tensor NormHeads(const at::Tensor& qkv, const at::Tensor& query_norm,
                     const at::Tensor& key_norm, const ModelConfig& config) {
  const at::Tensor heads = qkv.view({qkv.size(0), -1, config.head_width});  // [T, H + 2K, D]
  const auto normed = [&](int64_t first, int64_t count, const at::Tensor& weight) {
    return at::rms_norm(heads.narrow(1, first, count), {config.head_width}, weight,
                        config.norm_epsilon);
  };
  return at::cat({normed(0, config.num_heads, query_norm),
                  normed(config.num_heads, config.num_kv_heads, key_norm),
                  heads.narrow(1, config.num_heads + config.num_kv_heads, config.num_kv_heads)},
                 /*dim=*/1)
      .view(qkv.sizes());
}

// Rotates query and key heads, x = (x₁, x₂) by halves → (x₁ cos − x₂ sin, x₂ cos + x₁ sin); values
// pass through. The backward needs no qkv: it is freed here. Source: Su et al. 2021, in Hugging
// Face's half-split order.
at::Tensor Rotate(at::Tensor qkv, const BlockContext& context) {
  const ModelConfig& config = *context.config;
  const int64_t half = config.head_width / 2;
  const int64_t num_rotated = config.num_heads + config.num_kv_heads;
  const at::Tensor heads = qkv.view({qkv.size(0), -1, config.head_width});      // [T, H + 2K, D]
  const at::Tensor first = heads.narrow(1, 0, num_rotated).narrow(2, 0, half);  // [T, H + K, D/2]
  const at::Tensor second = heads.narrow(1, 0, num_rotated).narrow(2, half, half);
  const at::Tensor rotated = at::cat({first * context.cosines - second * context.sines,
                                      second * context.cosines + first * context.sines},
                                     /*dim=*/2);  // [T, H + K, D]
  return at::cat({rotated, heads.narrow(1, num_rotated, config.num_kv_heads)}, 1).view(qkv.sizes());
}

}  // namespace

BlockTensors<at::Tensor> SplitBlock(const at::Tensor& flat,
                                    const BlockTensors<JoinedTensor>& shapes) {
  BlockTensors<at::Tensor> tensors;
  int64_t offset = 0;
  const auto take = [&](const JoinedTensor& joined, at::Tensor& tensor) {
    if (!joined.exists()) return;
    const int64_t n = joined.rows() * std::max<int64_t>(1, joined.columns);
    tensor = flat.narrow(0, offset, n).view(joined.shape());
    offset += n;
  };
  ForEachTensor(take, shapes, tensors);
  RW_CHECK(offset == flat.size(0))
      << "a block of " << flat.size(0) << " elements, the layout has " << offset;
  return tensors;
}

std::vector<at::Tensor> ListTensors(const BlockTensors<at::Tensor>& tensors) {
  std::vector<at::Tensor> list;
  ForEachTensor(
      [&](const at::Tensor& tensor) {
        if (tensor.defined()) list.push_back(tensor);
      },
      tensors);
  return list;
}

at::Tensor BlockForward(const at::Tensor& x, const BlockTensors<at::Tensor>& weights,
                        const BlockContext& context) {
  const ModelConfig& config = *context.config;
  const at::Tensor normed =
      at::rms_norm(x, {config.width}, weights.input_norm, config.norm_epsilon);
  at::Tensor qkv = Linear(normed, weights.qkv, weights.qkv_bias);  // [T, (H + 2K) · D]
  if (config.is_qk_normed) qkv = NormHeads(qkv, weights.query_norm, weights.key_norm, config);
  const at::Tensor attended = PackedAttention(Rotate(std::move(qkv), context), context.attention,
                                              config.num_heads, config.num_kv_heads);
  const at::Tensor y = x + Linear(attended, weights.attention_output);  // [T, C]
  const at::Tensor gate_up =
      Linear(at::rms_norm(y, {config.width}, weights.post_attention_norm, config.norm_epsilon),
             weights.gate_up);  // [T, 2I]
  const int64_t inner = config.intermediate_width;
  return y + Linear(at::silu(gate_up.narrow(1, 0, inner)) * gate_up.narrow(1, inner, inner),
                    weights.down);
}

}  // namespace routewright
