#include "trainer/algorithm/losses/value_loss.h"

#include <algorithm>

#include "common/check.h"

namespace routewright {

ValueLoss ClippedValueLoss(const ValueLossInput& input, double clip) {
  const size_t n = input.values.size();
  RW_CHECK(input.old_values.size() == n && input.returns.size() == n && input.weights.size() == n)
      << n << " values, " << input.old_values.size() << " old, " << input.returns.size()
      << " returns, " << input.weights.size() << " weights";
  ValueLoss result;
  result.d_values.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const double old_value = input.old_values[i];
    const double error = input.values[i] - input.returns[i];
    const double clipped_error =
        std::clamp(input.values[i], old_value - clip, old_value + clip) - input.returns[i];
    const bool is_clipped = clipped_error * clipped_error > error * error;
    const double worse = is_clipped ? clipped_error : error;
    result.loss += 0.5 * input.weights[i] * worse * worse;
    result.d_values[i] = is_clipped ? 0.0 : input.weights[i] * error;
    result.clipped_tokens += is_clipped;
  }
  return result;
}

}  // namespace routewright
