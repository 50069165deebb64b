#include "trainer/sharding/adamw.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/sqrt.h>

#include <cmath>

#include "common/check.h"

namespace routewright {
namespace {

// The numbers of one step, rounded to f32 once.
struct Factors {
  float keep;  // 1 − rate·decay
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float step_size;   // rate / (1 − β₁ᵗ)
  float root_scale;  // 1 / √(1 − β₂ᵗ)
  float epsilon;
  float gradient_scale;
};

Factors MakeFactors(const AdamWSettings& s, bool is_decayed) {
  const double correction1 = 1.0 - std::pow(s.beta1, static_cast<double>(s.step));
  const double correction2 = 1.0 - std::pow(s.beta2, static_cast<double>(s.step));
  return {.keep = static_cast<float>(is_decayed ? 1.0 - s.learning_rate * s.weight_decay : 1.0),
          .beta1 = static_cast<float>(s.beta1),
          .one_minus_beta1 = static_cast<float>(1.0 - s.beta1),
          .beta2 = static_cast<float>(s.beta2),
          .one_minus_beta2 = static_cast<float>(1.0 - s.beta2),
          .step_size = static_cast<float>(s.learning_rate / correction1),
          .root_scale = static_cast<float>(1.0 / std::sqrt(correction2)),
          .epsilon = static_cast<float>(s.epsilon),
          .gradient_scale = static_cast<float>(s.gradient_scale)};
}

void UpdateOnHost(const Factors& f, int64_t count, const float* __restrict gradients,
                  float* __restrict parameters, float* __restrict first, float* __restrict second) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradients[i] * f.gradient_scale;
    first[i] = f.beta1 * first[i] + f.one_minus_beta1 * g;
    second[i] = f.beta2 * second[i] + f.one_minus_beta2 * g * g;
    const float root = std::sqrt(second[i]) * f.root_scale + f.epsilon;
    parameters[i] = parameters[i] * f.keep - f.step_size * first[i] / root;
  }
}

void UpdateOnDevice(const Factors& f, const at::Tensor& gradients, at::Tensor parameters,
                    at::Tensor first, at::Tensor second) {
  const at::Tensor g = gradients.mul(f.gradient_scale);
  first.mul_(f.beta1).add_(g, f.one_minus_beta1);
  second.mul_(f.beta2).addcmul_(g, g, f.one_minus_beta2);
  const at::Tensor root = at::sqrt(second).mul_(f.root_scale).add_(f.epsilon);
  parameters.mul_(f.keep).addcdiv_(first, root, -f.step_size);
}

// Eight interleaved sums, so that the additions need not wait for each other.
double SquaredNormOnHost(const float* values, int64_t count) {
  constexpr int kLanes = 8;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * values[i];
  double sum = 0.0;
  for (double lane_sum : sums) sum += lane_sum;
  return sum;
}

}  // namespace

AdamWSettings MakeAdamWSettings(const OptimizerConfig& config, double learning_rate, int64_t step,
                                double gradient_scale) {
  return {.learning_rate = learning_rate,
          .beta1 = config.beta1(),
          .beta2 = config.beta2(),
          .epsilon = config.epsilon(),
          .weight_decay = config.weight_decay(),
          .step = step,
          .gradient_scale = gradient_scale};
}

std::vector<DecayRange> DecayRanges(const BlockLayout& block) {
  std::vector<DecayRange> ranges;
  for (const TensorSlot& slot : block.tensors) {
    const bool is_decayed = slot.shape.size() > 1;
    const bool continues = !ranges.empty() && ranges.back().is_decayed == is_decayed &&
                           ranges.back().first + ranges.back().count == slot.offset;
    if (continues) {
      ranges.back().count += slot.num_elements;
    } else {
      ranges.push_back({slot.offset, slot.num_elements, is_decayed});
    }
  }
  return ranges;
}

void UpdateAdamW(const AdamWSettings& settings, bool is_decayed, const at::Tensor& gradients,
                 const at::Tensor& parameters, const at::Tensor& first_moments,
                 const at::Tensor& second_moments) {
  const int64_t count = gradients.numel();
  RW_CHECK(parameters.numel() == count && first_moments.numel() == count &&
           second_moments.numel() == count)
      << count << " gradients, " << parameters.numel() << " parameters, " << first_moments.numel()
      << " and " << second_moments.numel() << " moments";
  const Factors factors = MakeFactors(settings, is_decayed);
  if (!parameters.is_cpu()) {
    UpdateOnDevice(factors, gradients, parameters, first_moments, second_moments);
    return;
  }
  UpdateOnHost(factors, count, gradients.const_data_ptr<float>(),
               parameters.mutable_data_ptr<float>(), first_moments.mutable_data_ptr<float>(),
               second_moments.mutable_data_ptr<float>());
}

double SquaredNorm(const at::Tensor& gradients) {
  if (gradients.is_cpu()) {
    return SquaredNormOnHost(gradients.const_data_ptr<float>(), gradients.numel());
  }
  const double norm = at::linalg_vector_norm(gradients, /*ord=*/2, /*dim=*/c10::nullopt,
                                             /*keepdim=*/false, at::kDouble)
                          .item<double>();
  return norm * norm;
}

}  // namespace routewright
