// y = x Wᵀ + b for a batch of rows: every linear layer of the decoder, LM head included.
// A row's result is the same bits whatever the other rows, their number and the number of threads:
// each output is one sum over the inputs in ascending order, ((b + x₀w₀) + x₁w₁) + …, fused
// multiply-adds where the CPU has them. Bounds: at one row by the bytes of W (read once per call);
// at many rows by the multiply-adds.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/aligned_floats.h"
#include "kernels/cpu_level.h"

namespace routewright {

// W [num_outputs, num_inputs] f32, kept in panels of 32 outputs: panel p holds for each input k the
// 32 weights of outputs 32p … 32p+31 side by side (zeros past the last output). Filled by one
// thread, then read by any.
class PackedMatrix {
 public:
  static constexpr int64_t kPanel = 32;

  PackedMatrix() = default;
  PackedMatrix(int64_t num_outputs, int64_t num_inputs);
  int64_t num_outputs() const { return num_outputs_; }
  int64_t num_inputs() const { return num_inputs_; }
  int64_t num_panels() const { return (num_outputs_ + kPanel - 1) / kPanel; }

  // Rows first_output … of W from `rows`, row-major [n, num_inputs].
  void SetRows(int64_t first_output, std::span<const float> rows);
  // Row `output` of W into row[num_inputs]: the tied embedding's lookup.
  void CopyRow(int64_t output, float* row) const;
  // [num_inputs, 32], 64-byte aligned.
  const float* panel(int64_t index) const { return data_.get() + index * num_inputs_ * kPanel; }

 private:
  int64_t num_outputs_ = 0;
  int64_t num_inputs_ = 0;
  AlignedFloats data_;
};

//   x [num_rows, num_inputs]   bias [num_outputs] or nullptr   y [num_rows, num_outputs],
//   row-major, not overlapping x
// Uses up to num_threads OpenMP threads. Any thread may call.
void RowLinear(const float* x, int64_t num_rows, const PackedMatrix& weight, const float* bias,
               float* y, int num_threads, CpuLevel level = BestCpuLevel());

// The same from a plain row-major W [num_outputs, num_inputs], summed in f64: the truth
// that tests compare with.
void RowLinearReference(const float* x, int64_t num_rows, const float* weight, int64_t num_outputs,
                        int64_t num_inputs, const float* bias, float* y);

}  // namespace routewright
