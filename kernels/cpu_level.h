// Which vector instructions a CPU kernel runs with: chosen once at run time, so that one binary
// serves every machine. kAvx2 and kAvx512 give equal bits (the same fused operations in the same
// order); kPortable may differ in the last ones. A kernel is a struct with `template <int N> static
// void Run(…)` (always_inline, N = floats per vector).
#pragma once

namespace routewright {

enum class CpuLevel { kPortable, kAvx2, kAvx512 };

const char* CpuLevelName(CpuLevel level);

// The best level of this machine, or a lower one that $ROUTEWRIGHT_CPU_LEVEL names ("portable", "avx2",
// "avx512"): what another machine would compute. Constant for the process; dies of a name that is
// none.
CpuLevel BestCpuLevel();

// The level that `name` is, at most `best`; nullptr or "": `best`. Dies of a name that is none.
CpuLevel CpuLevelAtMost(CpuLevel best, const char* name);

#if defined(__x86_64__)

template <typename Kernel, typename... Args>
__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))) void RunAvx512(
    Args... args) {
  Kernel::template Run<16>(args...);
}

template <typename Kernel, typename... Args>
__attribute__((target("avx2,fma"))) void RunAvx2(Args... args) {
  Kernel::template Run<8>(args...);
}

template <typename Kernel, typename... Args>
void RunAtLevel(CpuLevel level, Args... args) {
  switch (level) {
    case CpuLevel::kAvx512:
      return RunAvx512<Kernel, Args...>(args...);
    case CpuLevel::kAvx2:
      return RunAvx2<Kernel, Args...>(args...);
    case CpuLevel::kPortable:
      return Kernel::template Run<4>(args...);
  }
}

#else

template <typename Kernel, typename... Args>
void RunAtLevel(CpuLevel, Args... args) {
  Kernel::template Run<4>(args...);
}

#endif

}  // namespace routewright
