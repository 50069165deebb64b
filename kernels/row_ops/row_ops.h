// The decoder's small operations on rows of activations: RMSNorm, rotary embedding, SwiGLU's gate,
// addition. Each row's result is a function of that row alone, the same bits in any batch. Bound by
// the bytes moved. Pure; any thread.
#pragma once

#include <cstdint>

#include "kernels/cpu_level.h"

namespace routewright {

// y[n, c] = x[n, c] / sqrt(mean over c of x² + epsilon) * weight[c].   Source: Zhang & Sennrich
// 2019.
//   x, y [num_rows, width], may be the same
void RmsNorm(const float* x, int64_t num_rows, int64_t width, const float* weight, double epsilon,
             float* y, CpuLevel level = BestCpuLevel());
void RmsNormReference(const float* x, int64_t num_rows, int64_t width, const float* weight,
                      double epsilon, float* y);

// Rotates, in place, the pairs (i, i + head_width/2) of each of one token's heads by
// angle position × frequency_i:
//   (a, b) → (a cos_i - b sin_i, b cos_i + a sin_i).   Source: Su et al. 2021, Hugging Face's
//   "rotate_half" layout. heads [num_heads, head_width]   cosines, sines [head_width/2] of the
//   token's position
void RotateHeads(float* heads, int64_t num_heads, int64_t head_width, const float* cosines,
                 const float* sines, CpuLevel level = BestCpuLevel());
void RotateHeadsReference(float* heads, int64_t num_heads, int64_t head_width, const float* cosines,
                          const float* sines);

// y[n, i] = silu(gate[n, i]) * up[n, i], silu(g) = g / (1 + e^-g).
//   gate_up [num_rows, 2 * width]: each row's gates, then its ups   y [num_rows, width], not
//   overlapping
void SiluMultiply(const float* gate_up, int64_t num_rows, int64_t width, float* y,
                  CpuLevel level = BestCpuLevel());
void SiluMultiplyReference(const float* gate_up, int64_t num_rows, int64_t width, float* y);

// x[i] += y[i].
void AddInPlace(float* x, const float* y, int64_t count);

}  // namespace routewright
