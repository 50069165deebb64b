// Vectors of N floats for the CPU kernels, in the compiler's generic form: one source serves SSE2,
// AVX2 and AVX-512. Sums over a row use 16 logical lanes whatever N is, so that the order of
// additions does not depend on the machine. Values go by reference: a by-value vector wider than
// the baseline's would change the calling convention.
#pragma once

#include <cstdint>
#include <cstring>

#define RW_KERNEL_INLINE inline __attribute__((always_inline))

namespace routewright {

template <int N>
struct Lanes {
  typedef float Floats __attribute__((vector_size(N * sizeof(float))));
  typedef int32_t Ints __attribute__((vector_size(N * sizeof(float))));
};
template <int N>
using Floats = typename Lanes<N>::Floats;

constexpr int kLogicalLanes = 16;

// Unaligned load and store.
template <int N>
RW_KERNEL_INLINE void Load(const float* from, Floats<N>& to) {
  std::memcpy(&to, from, sizeof(to));
}
template <int N>
RW_KERNEL_INLINE void Store(const Floats<N>& from, float* to) {
  std::memcpy(to, &from, sizeof(from));
}

// x = e^x, within 2 ulp; 0 below -87 (also at -inf); x above 88 must not come. Method: e^x = 2^n
// e^r, |r| <= ln2/2, with the degree-6 polynomial of Cephes' expf.
template <int N>
RW_KERNEL_INLINE void Exp(Floats<N>& x) {
  using Ints = typename Lanes<N>::Ints;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Ints is_tiny = x < -87.0F;
  const Floats<N> shifted = x * 1.44269504088896341F + kRound;
  const Floats<N> n = shifted - kRound;
  const Floats<N> r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
  Floats<N> p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + (r + 1.0F);
  // n sits in the low bits of `shifted`; into the exponent's place with it.
  const Ints power = ((Ints)shifted << 23) + (Ints)p;
  const Floats<N> zero = {};
  x = is_tiny ? zero : (Floats<N>)power;
}

// The sum of 16 logical lanes, pairwise: (0+8), (1+9), … then halves of that.
RW_KERNEL_INLINE float SumLanes(const float* lanes) {
  float sum[8];
  for (int i = 0; i < 8; ++i) sum[i] = lanes[i] + lanes[i + 8];
  for (int i = 0; i < 4; ++i) sum[i] += sum[i + 4];
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

}  // namespace routewright
