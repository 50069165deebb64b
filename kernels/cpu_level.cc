#include "kernels/cpu_level.h"

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

CpuLevel BestCpuLevel() {
#if defined(__x86_64__)
  static const CpuLevel best = [] {
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    return has_avx2 ? (has_avx512 ? CpuLevel::kAvx512 : CpuLevel::kAvx2) : CpuLevel::kPortable;
  }();
  return best;
#else
  return CpuLevel::kPortable;
#endif
}

}  // namespace routewright
