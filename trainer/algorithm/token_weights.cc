#include "trainer/algorithm/token_weights.h"

#include <algorithm>

namespace routewright {
namespace {

bool IsMasked(const Batch& batch, int b) {
  return !batch.is_masked.empty() && batch.is_masked[b] != 0;
}

}  // namespace

std::vector<double> TokenWeights(LossConfig::Normalization normalization, const Batch& batch,
                                 std::span<const int> trajectories) {
  const auto num_tokens = [&](int b) {
    return static_cast<double>(batch.scored_offsets[b + 1] - batch.scored_offsets[b]);
  };
  double count = 0.0, tokens = 0.0;
  for (int b : trajectories) {
    if (IsMasked(batch, b)) continue;
    count += 1.0;
    tokens += num_tokens(b);
  }
  std::vector<double> weights(batch.num_scored(), 0.0);
  for (int b : trajectories) {
    if (IsMasked(batch, b)) continue;
    double weight = 1.0 / tokens;
    if (normalization == LossConfig::NORMALIZATION_SEQUENCES) weight = 1.0 / count;
    if (normalization == LossConfig::NORMALIZATION_SEQUENCE_TOKEN_MEANS) {
      weight = 1.0 / (count * num_tokens(b));
    }
    std::fill(weights.begin() + batch.scored_offsets[b],
              weights.begin() + batch.scored_offsets[b + 1], weight);
  }
  return weights;
}

}  // namespace routewright
