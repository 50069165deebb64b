// The fast paths of row_ops: whole vectors, then what is left of a row in one padded vector, so
// that an element's value does not depend on where the row ends.
#include <cmath>

#include "kernels/lanes.h"
#include "kernels/row_ops/row_ops.h"

namespace routewright {
namespace {

// Calls body(offset, count) for whole vectors (count = N), then once for the rest (count < N).
template <int N, typename Body>
RW_KERNEL_INLINE void ForVectors(int64_t width, Body body) {
  int64_t i = 0;
  for (; i + N <= width; i += N) body(i, N);
  if (i < width) body(i, static_cast<int>(width - i));
}

template <int N>
RW_KERNEL_INLINE void LoadPart(const float* from, int count, Floats<N>& to) {
  if (count == N) return Load<N>(from, to);
  float values[N] = {};
  std::memcpy(values, from, count * sizeof(float));
  Load<N>(values, to);
}

template <int N>
RW_KERNEL_INLINE void StorePart(const Floats<N>& from, int count, float* to) {
  if (count == N) return Store<N>(from, to);
  float values[N];
  Store<N>(from, values);
  std::memcpy(to, values, count * sizeof(float));
}

struct RmsNormKernel {
  template <int N>
  static RW_KERNEL_INLINE void Run(const float* x, int64_t num_rows, int64_t width,
                                   const float* weight, double epsilon, float* y) {
    for (int64_t row = 0; row < num_rows; ++row, x += width, y += width) {
      const float scale = Scale<N>(x, width, epsilon);
      ForVectors<N>(
          width, [&](int64_t i, int count) __attribute__((always_inline)) {
            Floats<N> value, factor;
            LoadPart<N>(x + i, count, value);
            LoadPart<N>(weight + i, count, factor);
            value = value * scale * factor;
            StorePart<N>(value, count, y + i);
          });
    }
  }

  // 1 / sqrt(mean of squares + epsilon); element i is added in logical lane i % 16.
  template <int N>
  static RW_KERNEL_INLINE float Scale(const float* x, int64_t width, double epsilon) {
    constexpr int kVectors = kLogicalLanes / N;
    Floats<N> squares[kVectors] = {};
    const int64_t whole = width / kLogicalLanes * kLogicalLanes;
    for (int64_t i = 0; i < whole; i += kLogicalLanes) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        Floats<N> value;
        Load<N>(x + i + v * N, value);
        squares[v] += value * value;
      }
    }
    float rest[kLogicalLanes] = {};
    std::memcpy(rest, x + whole, (width - whole) * sizeof(float));
    float lanes[kLogicalLanes];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Floats<N> value;
      Load<N>(rest + v * N, value);
      const Floats<N> sum = squares[v] + value * value;
      Store<N>(sum, lanes + v * N);
    }
    const double mean = static_cast<double>(SumLanes(lanes)) / static_cast<double>(width);
    return static_cast<float>(1 / std::sqrt(mean + epsilon));
  }
};

struct RotateHeadsKernel {
  template <int N>
  static RW_KERNEL_INLINE void Run(float* heads, int64_t num_heads, int64_t head_width,
                                   const float* cosines, const float* sines) {
    const int64_t half = head_width / 2;
    for (int64_t head = 0; head < num_heads; ++head) {
      float* x = heads + head * head_width;
      ForVectors<N>(
          half, [&](int64_t i, int count) __attribute__((always_inline)) {
            Floats<N> a, b, cosine, sine;
            LoadPart<N>(x + i, count, a);
            LoadPart<N>(x + half + i, count, b);
            LoadPart<N>(cosines + i, count, cosine);
            LoadPart<N>(sines + i, count, sine);
            const Floats<N> first = a * cosine - b * sine;
            const Floats<N> second = b * cosine + a * sine;
            StorePart<N>(first, count, x + i);
            StorePart<N>(second, count, x + half + i);
          });
    }
  }
};

struct SiluMultiplyKernel {
  template <int N>
  static RW_KERNEL_INLINE void Run(const float* gate_up, int64_t num_rows, int64_t width,
                                   float* y) {
    for (int64_t row = 0; row < num_rows; ++row) {
      const float* gates = gate_up + row * 2 * width;
      ForVectors<N>(
          width, [&](int64_t i, int count) __attribute__((always_inline)) {
            Floats<N> gate, up;
            LoadPart<N>(gates + i, count, gate);
            LoadPart<N>(gates + width + i, count, up);
            // silu(g) = g / (1 + e^-g), for negative g as g e^g / (1 + e^g):
            // the power never overflows.
            Floats<N> power = gate < 0.0F ? gate : -gate;
            Exp<N>(power);
            const Floats<N> one = Floats<N>{} + 1.0F;
            const Floats<N> numerator = gate < 0.0F ? power : one;
            const Floats<N> value = gate * (numerator / (one + power)) * up;
            StorePart<N>(value, count, y + row * width + i);
          });
    }
  }
};

}  // namespace

void RmsNorm(const float* x, int64_t num_rows, int64_t width, const float* weight, double epsilon,
             float* y, CpuLevel level) {
  RunAtLevel<RmsNormKernel>(level, x, num_rows, width, weight, epsilon, y);
}

void RotateHeads(float* heads, int64_t num_heads, int64_t head_width, const float* cosines,
                 const float* sines, CpuLevel level) {
  RunAtLevel<RotateHeadsKernel>(level, heads, num_heads, head_width, cosines, sines);
}

void SiluMultiply(const float* gate_up, int64_t num_rows, int64_t width, float* y, CpuLevel level) {
  RunAtLevel<SiluMultiplyKernel>(level, gate_up, num_rows, width, y);
}

}  // namespace routewright
