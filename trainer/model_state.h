// What a checkpoint keeps of the models that learn: plain named tensors on the host.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "policy/policy_weights.h"

namespace switchyard {

// One model: its weights and both moments of AdamW under the same Hugging Face names, and the
// optimizer's clock.
struct ModelState {
  std::shared_ptr<const PolicyWeights> weights;
  std::shared_ptr<const PolicyWeights> first_moments;
  std::shared_ptr<const PolicyWeights> second_moments;
  int64_t optimizer_steps = 0;
};

// "policy" and, for PPO, "critic" or "value_head".
using UpdateState = std::map<std::string, ModelState>;

}  // namespace switchyard
