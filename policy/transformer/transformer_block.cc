#include "policy/transformer/transformer_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>

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

std::vector<at::Tensor> SplitBlock(const at::Tensor& flat, const ModelConfig& config) {
  const int64_t width = config.width;
  const int64_t query_rows = config.num_heads * config.head_width;
  const int64_t qkv_rows = query_rows + 2 * config.num_kv_heads * config.head_width;
  std::vector<at::Tensor> result;
  int64_t offset = 0;
  const auto take = [&](std::vector<int64_t> shape) {
    const int64_t n = shape.size() == 2 ? shape[0] * shape[1] : shape[0];
    result.push_back(flat.narrow(0, offset, n).view(shape));
    offset += n;
  };
  take({width});
  take({qkv_rows, width});
  if (config.is_qkv_biased) take({qkv_rows});
  if (config.is_qk_normed) {
    take({config.head_width});
    take({config.head_width});
  }
  take({width, query_rows});
  take({width});
  take({2 * config.intermediate_width, width});
  take({width, config.intermediate_width});
  RW_CHECK(offset == flat.size(0))
      << "a block of " << flat.size(0) << " elements, the layout has " << offset;
  return result;
}

at::Tensor BlockForward(const at::Tensor& x, const std::vector<at::Tensor>& weights,
                        const BlockContext& context) {
  const ModelConfig& config = *context.config;
  size_t next = 0;
  const at::Tensor& input_norm = weights[next++];
  const at::Tensor& qkv_weight = weights[next++];
  const at::Tensor qkv_bias = config.is_qkv_biased ? weights[next++] : at::Tensor();
  const at::Tensor query_norm = config.is_qk_normed ? weights[next++] : at::Tensor();
  const at::Tensor key_norm = config.is_qk_normed ? weights[next++] : at::Tensor();
  const at::Tensor& output_weight = weights[next++];
  const at::Tensor& post_norm = weights[next++];
  const at::Tensor& gate_up_weight = weights[next++];
  const at::Tensor& down_weight = weights[next++];

  const at::Tensor normed = at::rms_norm(x, {config.width}, input_norm, config.norm_epsilon);
  at::Tensor qkv = Linear(normed, qkv_weight, qkv_bias);  // [T, (H + 2K) · D]
  if (config.is_qk_normed) qkv = NormHeads(qkv, query_norm, key_norm, config);
  const at::Tensor attended = PackedAttention(Rotate(std::move(qkv), context), context.attention,
                                              config.num_heads, config.num_kv_heads);
  const at::Tensor y = x + Linear(attended, output_weight);  // [T, C]
  const at::Tensor gate_up = Linear(at::rms_norm(y, {config.width}, post_norm, config.norm_epsilon),
                                    gate_up_weight);  // [T, 2I]
  const int64_t inner = config.intermediate_width;
  return y + Linear(at::silu(gate_up.narrow(1, 0, inner)) * gate_up.narrow(1, inner, inner),
                    down_weight);
}

}  // namespace routewright
