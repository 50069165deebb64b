#include "policy/activation_memory.h"

#include <algorithm>

namespace switchyard {
namespace {

// Saved by the norms of single heads: all heads as they were, the normed ones before their weight,
// and 1 / rms of each.
int64_t HeadNormElements(const ModelConfig& config) {
  const int64_t normed_heads = config.num_heads + config.num_kv_heads;
  if (!config.is_qk_normed) return 0;
  return (2 * normed_heads + config.num_kv_heads) * config.head_width + normed_heads;
}

}  // namespace

ActivationElements CountActivations(const ModelConfig& config, bool recompute_activations) {
  const int64_t width = config.width, inner = config.intermediate_width;
  const int64_t query_width = config.num_heads * config.head_width;
  const int64_t qkv_width = query_width + 2 * config.num_kv_heads * config.head_width;
  const int64_t block = 6 * width + qkv_width + query_width + config.num_heads + 4 * inner + 2 +
                        HeadNormElements(config);
  ActivationElements elements;
  elements.kept_per_block = recompute_activations ? width : block;
  elements.kept_always = width + config.head_width + 2;
  elements.block_recomputed = recompute_activations ? block - width : 0;
  elements.block_backward = 2 * inner + 2 * width + 2;  // in the SwiGLU's
  elements.head_backward = 8 * width + 2;
  return elements;
}

ActivationPeak PeakActivationBytes(const ModelConfig& config, bool recompute_activations,
                                   int64_t tokens, int64_t bytes_per_element,
                                   int64_t head_chunk_bytes) {
  const ActivationElements elements = CountActivations(config, recompute_activations);
  const int64_t token_bytes = tokens * bytes_per_element;
  const int64_t kept =
      (config.num_layers * elements.kept_per_block + elements.kept_always) * token_bytes;
  ActivationPeak peak;
  // While the chunk is there, four [T, C] are: what the head's norm keeps, its result, its
  // gradient.
  peak.in_head = kept + std::max(elements.head_backward * token_bytes,
                                 4 * config.width * token_bytes + head_chunk_bytes);
  // The last hidden state is gone by then, and a gradient like it is there.
  peak.in_block = kept + (elements.block_recomputed + elements.block_backward) * token_bytes;
  return peak;
}

}  // namespace switchyard
