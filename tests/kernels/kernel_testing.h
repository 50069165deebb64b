// What the kernels' tests share: numbers from a seed, and the CPU levels that this machine can run.
#pragma once

#include <cstdint>
#include <vector>

#include "common/random.h"
#include "kernels/cpu_level.h"

namespace routewright {

// `count` numbers in [-scale, scale), from `key`.
inline std::vector<float> RandomFloats(int64_t count, uint64_t key, double scale = 1) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(scale * (2 * RandomUniform(key, i) - 1));
  }
  return values;
}

inline std::vector<CpuLevel> LevelsHere() {
  std::vector<CpuLevel> levels;
  for (CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level <= BestCpuLevel()) levels.push_back(level);
  }
  return levels;
}

}  // namespace routewright
