// The AdamW update of a flat range of parameters. Every element depends on its own numbers only, so
// a range may be cut anywhere (into shards) with the same bits. Source: Loshchilov and Hutter 2017
// (arXiv 1711.05101), algorithm 2.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "policy/model/parameter_layout.h"
#include "proto/config.pb.h"

namespace routewright {

// What one optimizer step uses, the same for every block.
struct AdamWSettings {
  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  int64_t step = 1;             // 1, 2, …: corrects the moments' bias
  double gradient_scale = 1.0;  // multiplies every gradient: clipping by global norm
};
AdamWSettings MakeAdamWSettings(const OptimizerConfig& config, double learning_rate, int64_t step,
                                double gradient_scale);

// A run of a block's elements that decay alike.
struct DecayRange {
  int64_t first = 0;
  int64_t count = 0;
  bool is_decayed = false;
};
// The block cut into the longest such runs: matrices decay; norms and biases (one dimension) don't.
std::vector<DecayRange> DecayRanges(const BlockLayout& block);

// θ ← θ·(1 − rate·decay); m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ −
// rate·m̂ / (√v̂ + ε), in place.
//   gradients, parameters, first_moments, second_moments: f32 [P] contiguous, on one device
void UpdateAdamW(const AdamWSettings& settings, bool is_decayed, const at::Tensor& gradients,
                 const at::Tensor& parameters, const at::Tensor& first_moments,
                 const at::Tensor& second_moments);

// Σ g² in f64; the order of its additions does not depend on the number of threads.
double SquaredNorm(const at::Tensor& gradients);

}  // namespace routewright
