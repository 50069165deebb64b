#include "policy/random_policy.h"

#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <utility>

#include "common/random.h"

namespace switchyard {
namespace {

// The `index`-th standard normal of a stream: Box and Muller 1958.
double RandomNormal(uint64_t key, uint64_t index) {
  const double radius = std::sqrt(-2 * std::log(1 - RandomUniform(key, 2 * index)));
  return radius * std::cos(2 * std::numbers::pi * RandomUniform(key, 2 * index + 1));
}

}  // namespace

std::shared_ptr<const PolicyWeights> RandomWeights(const ModelConfig& config, uint64_t seed) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  std::map<std::string, HostTensor> tensors;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      const bool is_bias = slot.name.ends_with(".bias");
      const bool is_matrix = slot.shape.size() == 2;
      HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements, is_bias ? 0.0f : 1.0f)};
      const uint64_t key = StreamKey(seed, slot.name, 0);
      for (int64_t i = 0; is_matrix && i < slot.num_elements; ++i) {
        tensor.values[i] = static_cast<float>(config.initializer_range * RandomNormal(key, i));
      }
      tensors[slot.name] = std::move(tensor);
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

}  // namespace switchyard
