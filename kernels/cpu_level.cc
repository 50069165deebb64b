#include "kernels/cpu_level.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "common/check.h"

namespace routewright {

const char* CpuLevelName(CpuLevel level) {
  switch (level) {
    case CpuLevel::kAvx512:
      return "avx512";
    case CpuLevel::kAvx2:
      return "avx2";
    case CpuLevel::kPortable:
      break;
  }
  return "portable";
}

static CpuLevel LevelOfMachine() {
#if defined(__x86_64__)
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (has_avx2) return has_avx512 ? CpuLevel::kAvx512 : CpuLevel::kAvx2;
#endif
  return CpuLevel::kPortable;
}

CpuLevel CpuLevelAtMost(CpuLevel best, const char* name) {
  if (name == nullptr || *name == '\0') return best;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (std::string_view(name) == CpuLevelName(level)) return std::min(level, best);
  }
  RW_CHECK(false) << "ROUTEWRIGHT_CPU_LEVEL=" << name << ": use portable, avx2 or avx512";
  return best;
}

CpuLevel BestCpuLevel() {
  static const CpuLevel best =
      CpuLevelAtMost(LevelOfMachine(), std::getenv("ROUTEWRIGHT_CPU_LEVEL"));
  return best;
}

}  // namespace routewright
