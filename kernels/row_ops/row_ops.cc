#include "kernels/row_ops/row_ops.h"

#include <cmath>

namespace routewright {

void RmsNormReference(const float* x, int64_t num_rows, int64_t width, const float* weight,
                      double epsilon, float* y) {
  for (int64_t row = 0; row < num_rows; ++row, x += width, y += width) {
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(x[c]) * x[c];
    const double scale = 1 / std::sqrt(sum / static_cast<double>(width) + epsilon);
    for (int64_t c = 0; c < width; ++c) y[c] = static_cast<float>(x[c] * scale * weight[c]);
  }
}

void RotateHeadsReference(float* heads, int64_t num_heads, int64_t head_width, const float* cosines,
                          const float* sines) {
  const int64_t half = head_width / 2;
  for (int64_t head = 0; head < num_heads; ++head) {
    float* x = heads + head * head_width;
    for (int64_t i = 0; i < half; ++i) {
      const double a = x[i], b = x[i + half];
      x[i] = static_cast<float>(a * cosines[i] - b * sines[i]);
      x[i + half] = static_cast<float>(b * cosines[i] + a * sines[i]);
    }
  }
}

void SiluMultiplyReference(const float* gate_up, int64_t num_rows, int64_t width, float* y) {
  for (int64_t row = 0; row < num_rows; ++row) {
    const float* gate = gate_up + row * 2 * width;
    for (int64_t i = 0; i < width; ++i) {
      const double silu = gate[i] / (1 + std::exp(-static_cast<double>(gate[i])));
      y[row * width + i] = static_cast<float>(silu * gate[width + i]);
    }
  }
}

void AddInPlace(float* x, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] += y[i];
}

}  // namespace routewright
