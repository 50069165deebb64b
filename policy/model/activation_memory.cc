#include "policy/model/activation_memory.h"

#include <algorithm>

namespace routewright {
namespace {

// What m norms of n elements in all keep, if they are wide, beside what they would in one type:
// the input in f32 (two elements of bf16) and f32 where there was bf16 (one more). The bf16
// input itself is then let go.
int64_t WideNormElements(int64_t n, int64_t m) { return 3 * n + m; }

// Saved by the norms of single heads: all heads as they were, the normed ones before their
// weight, and 1 / rms of each.
int64_t HeadNormElements(const ModelConfig& config, bool are_norms_wide) {
  const int64_t normed_heads = config.num_heads + config.num_kv_heads;
  if (!config.is_qk_normed) return 0;
  const int64_t all = (normed_heads + config.num_kv_heads) * config.head_width;
  const int64_t normed = normed_heads * config.head_width;
  return all + normed + normed_heads +
         (are_norms_wide ? WideNormElements(normed, normed_heads) - all : 0);
}

}  // namespace

ActivationElements CountActivations(const ModelConfig& config, bool recompute_activations,
                                    bool are_norms_wide) {
  const int64_t width = config.width, inner = config.intermediate_width;
  const int64_t query_width = config.num_heads * config.head_width;
  const int64_t qkv_width = query_width + 2 * config.num_kv_heads * config.head_width;
  const int64_t block =
      6 * width + qkv_width + query_width + config.num_heads + 4 * inner + 2 +
      HeadNormElements(config, are_norms_wide) +
      (are_norms_wide ? WideNormElements(2 * width, 2) - width + config.num_heads : 0);
  ActivationElements elements;
  elements.kept_per_block = recompute_activations ? width : block;
  elements.kept_always = width + config.head_width + 2;
  elements.block_recomputed = recompute_activations ? block - width : 0;
  elements.block_backward = 2 * inner + 2 * width + 2;  // in the SwiGLU's
  elements.head_backward = 8 * width + 2;
  elements.head_norm = are_norms_wide ? WideNormElements(width, 1) - width : 0;
  return elements;
}

ActivationPeak PeakActivationBytes(const ModelConfig& config, bool recompute_activations,
                                   int64_t tokens, int64_t bytes_per_element,
                                   int64_t head_chunk_bytes, bool are_norms_wide) {
  const ActivationElements elements =
      CountActivations(config, recompute_activations, are_norms_wide);
  const int64_t token_bytes = tokens * bytes_per_element;
  const int64_t kept =
      (config.num_layers * elements.kept_per_block + elements.kept_always) * token_bytes;
  ActivationPeak peak;
  // Beside the chunk stand four [T, C]: what the head's norm keeps, its result, its gradient.
  peak.in_head = kept + elements.head_norm * token_bytes +
                 std::max(elements.head_backward * token_bytes,
                          4 * config.width * token_bytes + head_chunk_bytes);
  // The last hidden state is gone by then, and a gradient like it is there.
  peak.in_block = kept + (elements.block_recomputed + elements.block_backward) * token_bytes;
  return peak;
}

}  // namespace routewright
