#include "kernels/decode_attention/decode_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace routewright {

void DecodeAttentionReference(const AttentionShape& shape, const float* query, const float* keys,
                              const float* values, int64_t num_tokens, float* output) {
  const int64_t width = shape.head_width, group = shape.num_heads / shape.num_kv_heads;
  std::vector<double> weights(num_tokens);
  for (int64_t head = 0; head < shape.num_heads; ++head) {
    const auto at = [&](int64_t token) {
      return (token * shape.num_kv_heads + head / group) * width;
    };
    for (int64_t t = 0; t < num_tokens; ++t) {
      double dot = 0;
      for (int64_t d = 0; d < width; ++d) {
        dot += static_cast<double>(query[head * width + d]) * keys[at(t) + d];
      }
      weights[t] = dot / std::sqrt(static_cast<double>(width));
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - largest);
    for (int64_t d = 0; d < width; ++d) {
      double sum = 0;
      for (int64_t t = 0; t < num_tokens; ++t) sum += weights[t] / total * values[at(t) + d];
      output[head * width + d] = static_cast<float>(sum);
    }
  }
}

}  // namespace routewright
