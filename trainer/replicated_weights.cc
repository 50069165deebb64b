#include "trainer/replicated_weights.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "policy/flat_weights.h"

namespace switchyard {
namespace {

std::vector<at::Tensor> ZeroBlocks(const ParameterLayout& layout, at::Device device,
                                   at::ScalarType type) {
  std::vector<at::Tensor> blocks;
  for (const BlockLayout& block : layout.blocks()) {
    blocks.push_back(at::zeros({block.num_elements}, at::device(device).dtype(type)));
  }
  return blocks;
}

}  // namespace

ReplicatedWeights::ReplicatedWeights(const ParameterLayout& layout, WeightOptions options,
                                     Communicator* communicator)
    : layout_(layout),
      options_(std::move(options)),
      communicator_(communicator),
      parameters_(ZeroBlocks(layout_, options_.device, at::kFloat)),
      is_ready_(parameters_.size(), false) {
  if (options_.is_trainable) gradients_ = ZeroBlocks(layout_, options_.device, at::kFloat);
  if (options_.compute_type != at::kFloat) {
    compute_copies_ = ZeroBlocks(layout_, options_.device, options_.compute_type);
  }
}

absl::Status ReplicatedWeights::Load(const PolicyWeights& weights) {
  SY_ASSIGN_OR_RETURN(const auto blocks, FlattenWeights(weights, layout_));
  const std::vector<at::Tensor> tensors = BlocksToDevice(blocks, options_.device);
  for (int b = 0; b < num_blocks(); ++b) parameters_[b].copy_(tensors[b]);
  WeightsChanged();
  return absl::OkStatus();
}

std::shared_ptr<const PolicyWeights> ReplicatedWeights::Export() const {
  return BlocksToWeights(parameters_, layout_);
}

absl::Status ReplicatedWeights::Synchronize() {
  for (int b = 0; b < num_blocks(); ++b) {
    const std::string name = absl::StrCat("weights/", options_.name, "/", layout_.blocks()[b].name);
    SY_RETURN_IF_ERROR(BroadcastTensor(*communicator_, name, parameters_[b]));
  }
  WeightsChanged();
  return absl::OkStatus();
}

at::Tensor ReplicatedWeights::AcquireWeights(int block) {
  return compute_copies_.empty() ? parameters_[block] : compute_copies_[block];
}

void ReplicatedWeights::ReleaseWeights(int /*block*/) {}

at::Tensor ReplicatedWeights::GradientBuffer(int block) {
  SY_CHECK(options_.is_trainable) << options_.name << " has no gradients";
  return gradients_[block];
}

void ReplicatedWeights::GradientReady(int block) {
  if (!is_reducing_) return;
  is_ready_[block] = true;
  while (next_to_reduce_ >= 0 && is_ready_[next_to_reduce_]) StartReduction(next_to_reduce_);
}

void ReplicatedWeights::ZeroGradients() {
  for (at::Tensor& gradient : gradients_) gradient.zero_();
}

void ReplicatedWeights::ReduceFromNowOn() {
  SY_CHECK(reductions_.empty()) << options_.name << ": the last reduction was not finished";
  is_reducing_ = true;
  is_ready_.assign(is_ready_.size(), false);
  next_to_reduce_ = num_blocks() - 1;
}

absl::Status ReplicatedWeights::FinishReduction() {
  SY_CHECK(is_reducing_) << options_.name << ": no reduction was begun";
  while (next_to_reduce_ >= 0) StartReduction(next_to_reduce_);
  is_reducing_ = false;
  absl::Status status;
  for (auto& reduction : reductions_) status.Update(reduction->Wait());
  reductions_.clear();
  return status;
}

void ReplicatedWeights::WeightsChanged() {
  for (size_t b = 0; b < compute_copies_.size(); ++b) compute_copies_[b].copy_(parameters_[b]);
}

void ReplicatedWeights::StartReduction(int block) {
  at::Tensor& gradient = gradients_[block];
  reductions_.push_back(communicator_->AllReduceSum(
      absl::StrCat("gradient/", options_.name, "/", layout_.blocks()[block].name),
      {.data = gradient.mutable_data_ptr<float>(),
       .num_elements = gradient.numel(),
       .type = CommType::kFloat32,
       .is_on_gpu = gradient.is_cuda()}));
  --next_to_reduce_;
}

absl::Status BroadcastTensor(Communicator& communicator, const std::string& name,
                             const at::Tensor& tensor) {
  return communicator
      .Broadcast(name,
                 {.data = tensor.mutable_data_ptr<float>(),
                  .num_elements = tensor.numel(),
                  .type = CommType::kFloat32,
                  .is_on_gpu = tensor.is_cuda()},
                 /*root=*/0)
      ->Wait();
}

std::vector<at::Tensor> BlocksToDevice(const std::vector<std::vector<float>>& blocks,
                                       at::Device device) {
  std::vector<at::Tensor> tensors;
  for (const std::vector<float>& block : blocks) {
    const at::Tensor view = at::from_blob(const_cast<float*>(block.data()),
                                          {static_cast<int64_t>(block.size())}, at::kFloat);
    tensors.push_back(view.to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true));
  }
  return tensors;
}

std::shared_ptr<const PolicyWeights> BlocksToWeights(const std::vector<at::Tensor>& blocks,
                                                     const ParameterLayout& layout) {
  std::vector<at::Tensor> on_host;
  std::vector<std::span<const float>> views;
  for (const at::Tensor& block : blocks) {
    on_host.push_back(block.to(at::kCPU));
    views.emplace_back(on_host.back().const_data_ptr<float>(), on_host.back().numel());
  }
  return UnflattenWeights(views, layout);
}

}  // namespace switchyard
