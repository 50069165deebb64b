// A WeightProvider for tests: every block's weights and gradients in plain flat tensors of any
// floating type, with a record of what the transformer asked for.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/random.h"
#include "policy/model/flat_weights.h"
#include "policy/model/parameter_layout.h"
#include "policy/transformer/weight_provider.h"

namespace routewright {

class ReplicatedTestWeights final : public WeightProvider {
 public:
  // Random weights: norms near 1, the rest uniform with standard deviation `scale`.
  ReplicatedTestWeights(const ParameterLayout& layout, at::ScalarType type, uint64_t seed,
                        double scale = 0.3)
      : layout_(layout) {
    Allocate(type);
    for (size_t b = 0; b < weights_.size(); ++b) {
      for (const TensorSlot& slot : layout_.blocks()[b].tensors) {
        const uint64_t key = StreamKey(seed, slot.name, 0);
        const bool is_norm = slot.name.find("norm") != std::string::npos;
        at::Tensor values = at::empty({slot.num_elements}, at::TensorOptions().dtype(at::kDouble));
        for (int64_t i = 0; i < slot.num_elements; ++i) {
          values.data_ptr<double>()[i] =
              (is_norm ? 1.0 : 0.0) + scale * 3.46 * (RandomUniform(key, i) - 0.5);
        }
        weights_[b].narrow(0, slot.offset, slot.num_elements).copy_(values);
      }
    }
  }

  ReplicatedTestWeights(const ParameterLayout& layout, at::ScalarType type,
                        const PolicyWeights& policy)
      : layout_(layout) {
    Allocate(type);
    const auto flat = FlattenWeights(policy, layout_);
    EXPECT_TRUE(flat.ok()) << flat.status();
    for (size_t b = 0; b < weights_.size(); ++b) {
      at::Tensor values = at::empty({weights_[b].size(0)}, at::TensorOptions().dtype(at::kFloat));
      std::copy((*flat)[b].begin(), (*flat)[b].end(), values.data_ptr<float>());
      weights_[b].copy_(values);
    }
  }

  at::Tensor AcquireWeights(int block) override {
    ++acquired_[block];
    return weights_.at(block);
  }
  void ReleaseWeights(int block) override { --acquired_[block]; }
  at::Tensor GradientBuffer(int block) override {
    EXPECT_EQ(std::count(ready_.begin(), ready_.end(), block), 0)
        << "gradient used after it was ready";
    return gradients_.at(block);
  }
  void GradientReady(int block) override { ready_.push_back(block); }

  void ZeroGradients() {
    for (at::Tensor& gradient : gradients_) gradient.zero_();
    ready_.clear();
  }
  void ClearReady() { ready_.clear(); }
  const std::vector<int>& ready() const { return ready_; }  // blocks, in the order of GradientReady
  bool is_all_released() const {
    for (const auto& [block, count] : acquired_) {
      if (count != 0) return false;
    }
    return true;
  }
  const std::vector<at::Tensor>& weights() const { return weights_; }
  const std::vector<at::Tensor>& gradients() const { return gradients_; }

 private:
  void Allocate(at::ScalarType type) {
    const at::ScalarType sum_type = type == at::kDouble ? at::kDouble : at::kFloat;
    for (const BlockLayout& block : layout_.blocks()) {
      weights_.push_back(at::empty({block.num_elements}, at::TensorOptions().dtype(type)));
      gradients_.push_back(at::zeros({block.num_elements}, at::TensorOptions().dtype(sum_type)));
    }
  }

  const ParameterLayout layout_;
  std::vector<at::Tensor> weights_, gradients_;
  std::map<int, int> acquired_;
  std::vector<int> ready_;
};

}  // namespace routewright
