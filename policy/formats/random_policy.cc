#include "policy/formats/random_policy.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "common/random.h"
#include "kernels/parallel_for.h"

namespace routewright {
namespace {

// The `index`-th standard normal of a stream: Box and Muller 1958.
double RandomNormal(uint64_t key, uint64_t index) {
  const double radius = std::sqrt(-2 * std::log(1 - RandomUniform(key, 2 * index)));
  return radius * std::cos(2 * std::numbers::pi * RandomUniform(key, 2 * index + 1));
}

}  // namespace

TensorSource RandomTensors(const ModelConfig& config, uint64_t seed, int num_threads) {
  const double deviation = config.initializer_range;
  return [=](const TensorSlot& slot) -> absl::StatusOr<HostTensor> {
    const bool is_bias = slot.name.ends_with(".bias");
    const bool is_matrix = slot.shape.size() == 2;
    HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements, is_bias ? 0.0f : 1.0f)};
    if (!is_matrix) return tensor;
    const uint64_t key = StreamKey(seed, slot.name, 0);
    constexpr int64_t kPart = 1 << 16;
    ParallelFor((slot.num_elements + kPart - 1) / kPart, num_threads, [&](int64_t part) {
      const int64_t end = std::min(slot.num_elements, (part + 1) * kPart);
      for (int64_t i = part * kPart; i < end; ++i) {
        tensor.values[i] = static_cast<float>(deviation * RandomNormal(key, i));
      }
    });
    return tensor;
  };
}

}  // namespace routewright
