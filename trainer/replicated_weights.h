// A model's parameters, whole on every rank: one flat f32 buffer per block, its gradient, and (if
// the model computes in bf16) a bf16 copy for the forward and backward. Gradients are summed over
// the ranks by one named all-reduce per block, started as the backward leaves the block, in the
// same order on every rank whatever order blocks get ready in.
//
//   ZeroGradients → (forward, backward)… → ReduceFromNowOn → last forward, backward →
//   FinishReduction → the optimizer writes parameters(b) from gradients(b) → WeightsChanged
//
// One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "policy/parameter_layout.h"
#include "policy/policy_weights.h"
#include "policy/weight_provider.h"
#include "trainer/comm/communicator.h"

namespace switchyard {

struct WeightOptions {
  std::string name;  // "policy", "critic", "reference": in the names of collectives and in errors
  at::Device device = at::kCPU;
  at::ScalarType compute_type = at::kFloat;  // kFloat or kBFloat16
  bool is_trainable = true;  // false: no gradients are held; for a model that is only scored with
};

class ReplicatedWeights final : public WeightProvider {
 public:
  // `communicator` must outlive this object. Parameters are zero until Load.
  ReplicatedWeights(const ParameterLayout& layout, WeightOptions options,
                    Communicator* communicator);

  // From and to named tensors. Load fails: kFailedPrecondition naming a tensor that is missing or
  // misshapen.
  absl::Status Load(const PolicyWeights& weights);
  std::shared_ptr<const PolicyWeights> Export() const;

  // Every rank takes over rank 0's parameters. Fails as the collectives do.
  absl::Status Synchronize();

  at::Tensor AcquireWeights(int block) override;
  void ReleaseWeights(int block) override;
  at::Tensor GradientBuffer(int block) override;
  void GradientReady(int block) override;

  void ZeroGradients();
  // The next backward is the step's last: blocks that get ready are reduced at once.
  void ReduceFromNowOn();
  // Starts what is left (all of it on a rank whose last micro-batch was empty) and waits.
  // Afterwards every rank holds the same sums. Fails as the collectives do; the communicator is
  // then unusable.
  absl::Status FinishReduction();
  // Parameters were written to: the compute copies are made anew.
  void WeightsChanged();

  const ParameterLayout& layout() const { return layout_; }
  const WeightOptions& options() const { return options_; }
  int num_blocks() const { return static_cast<int>(parameters_.size()); }
  const at::Tensor& parameters(int block) const { return parameters_[block]; }  // f32 [P]
  const at::Tensor& gradients(int block) const { return gradients_[block]; }    // f32 [P]

 private:
  void StartReduction(int block);

  const ParameterLayout layout_;
  const WeightOptions options_;
  Communicator* const communicator_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> gradients_;       // empty unless trainable
  std::vector<at::Tensor> compute_copies_;  // empty if the compute type is f32
  bool is_reducing_ = false;
  std::vector<bool> is_ready_;
  int next_to_reduce_ = -1;  // blocks are reduced from the head down to the embedding
  std::vector<std::unique_ptr<Collective>> reductions_;
};

// Every rank takes over rank 0's values of an f32 tensor. `name` names the collective.
absl::Status BroadcastTensor(Communicator& communicator, const std::string& name,
                             const at::Tensor& tensor);

// Copies to a new f32 tensor on `device`, and back.
std::vector<at::Tensor> BlocksToDevice(const std::vector<std::vector<float>>& blocks,
                                       at::Device device);
std::shared_ptr<const PolicyWeights> BlocksToWeights(const std::vector<at::Tensor>& blocks,
                                                     const ParameterLayout& layout);

}  // namespace switchyard
