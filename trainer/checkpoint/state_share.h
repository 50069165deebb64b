// What one rank puts into a checkpoint: its share of the models' weights and of AdamW's moments,
// flat and by block, on the host. Every rank's share is as large as any other's,
// whatever the stage of sharding, and together they are everything once.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace routewright {

enum class StateKind { kWeights, kFirstMoments, kSecondMoments };

// Elements [begin, begin + values.size()) of a block of the model's layout, borrowed.
struct BlockPart {
  int64_t begin = 0;
  std::span<const float> values;
};

// One model; each list has one part per block of its layout, perhaps empty. No moments: it does not
// learn.
struct ModelShare {
  std::vector<BlockPart> weights;  // the f32 masters
  std::vector<BlockPart> first_moments;
  std::vector<BlockPart> second_moments;
  int64_t optimizer_steps = 0;

  const std::vector<BlockPart>& of(StateKind kind) const {
    return kind == StateKind::kWeights        ? weights
           : kind == StateKind::kFirstMoments ? first_moments
                                              : second_moments;
  }
};

// "policy"; for PPO "critic" or "value_head"; "reference" where it is refreshed.
using StateShare = std::map<std::string, ModelShare>;

}  // namespace routewright
