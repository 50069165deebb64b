#include "kernels/row_linear/row_linear.h"

#include "common/check.h"

namespace routewright {

PackedMatrix::PackedMatrix(int64_t num_outputs, int64_t num_inputs)
    : num_outputs_(num_outputs), num_inputs_(num_inputs) {
  RW_CHECK(num_outputs > 0 && num_inputs > 0) << num_outputs << " x " << num_inputs;
  data_ = ZeroedFloats(static_cast<size_t>(num_panels() * kPanel * num_inputs));
}

void PackedMatrix::SetRows(int64_t first_output, std::span<const float> rows) {
  const int64_t count = static_cast<int64_t>(rows.size()) / num_inputs_;
  RW_CHECK(count * num_inputs_ == static_cast<int64_t>(rows.size()) &&
           first_output + count <= num_outputs_)
      << rows.size() << " values at row " << first_output << " of " << num_outputs_ << " x "
      << num_inputs_;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t output = first_output + row;
    float* to = data_.get() + output / kPanel * kPanel * num_inputs_ + output % kPanel;
    const float* from = rows.data() + row * num_inputs_;
    for (int64_t k = 0; k < num_inputs_; ++k) to[k * kPanel] = from[k];
  }
}

void PackedMatrix::CopyRow(int64_t output, float* row) const {
  RW_CHECK(output >= 0 && output < num_outputs_) << output << " of " << num_outputs_;
  const float* from = panel(output / kPanel) + output % kPanel;
  for (int64_t k = 0; k < num_inputs_; ++k) row[k] = from[k * kPanel];
}

void RowLinearReference(const float* x, int64_t num_rows, const float* weight, int64_t num_outputs,
                        int64_t num_inputs, const float* bias, float* y) {
  for (int64_t row = 0; row < num_rows; ++row) {
    for (int64_t output = 0; output < num_outputs; ++output) {
      double sum = bias == nullptr ? 0 : bias[output];
      for (int64_t k = 0; k < num_inputs; ++k) {
        sum += static_cast<double>(x[row * num_inputs + k]) * weight[output * num_inputs + k];
      }
      y[row * num_outputs + output] = static_cast<float>(sum);
    }
  }
}

}  // namespace routewright
