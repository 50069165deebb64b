// From a batch to new weights: scores what the algorithm needs, assigns credit, and makes one
// optimizer step per mini-batch, data-parallel over the ranks. Owns the policy, the critic (PPO: a
// model of its own, or a value head on the policy's trunk) and the reference policy (KL).
//
//   batch ─▶ reference log-probabilities, values ─▶ advantages ─▶ per mini-batch:
//     pack over ranks ─▶ per micro-batch: forward ─▶ loss on [n] vectors ─▶ backward
//     ─▶ gradients summed over ranks ─▶ clip ─▶ AdamW
//
// Every rank calls the same methods with the same arguments in the same order. One thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/model_config.h"
#include "policy/transformer/transformer.h"
#include "proto/config.pb.h"
#include "trainer/algorithm/credit.h"
#include "trainer/algorithm/losses/policy_objective.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/state_share.h"
#include "trainer/experience/batch.h"
#include "trainer/experience/packing.h"
#include "trainer/sharding/rank_groups.h"
#include "trainer/sharding/sharded_weights.h"
#include "trainer/update/host_copy.h"
#include "trainer/update/trainable_weights.h"
#include "trainer/update/value_head.h"

namespace routewright {

struct DeviceMicroBatch;  // trainer/update/scoring.h

struct UpdateOptions {
  TrainerConfig config;
  ModelConfig model;
  double temperature = 1.0;  // that the trajectories were sampled at, > 0
  at::Device device = at::kCPU;
  at::ScalarType compute_type = at::kFloat;
  uint64_t seed = 0;                   // of the shuffles over mini-batches
  const RankGroups* groups = nullptr;  // made for config.sharding; outlive the update
};

// The metrics of one batch, the same on every rank.
struct UpdateMetrics {
  ObjectiveSums policy;       // over all mini-batches; `loss` is the mean over them
  double value_loss = 0.0;    // mean over mini-batches
  double value_tokens = 0.0;  // that the critic learnt from
  double value_clipped_tokens = 0.0;
  double gradient_norm = 0.0;  // before clipping, of the last mini-batch
  double critic_gradient_norm = 0.0;
  double learning_rate = 0.0;
  double micro_batches_per_rank = 0.0;
  double work_imbalance = 0.0;     // as WorkImbalance, mean over mini-batches
  double gather_wait_s = 0.0;      // of the computing threads for weights, mean over ranks
  std::vector<double> advantages;  // [N] that the batch's tokens were learnt with
};

class PolicyUpdate {
 public:
  // Weights are zero until Initialize.
  explicit PolicyUpdate(UpdateOptions options);

  // What moves whole models is collective; only rank 0 has them: it gives a pointer and gets the
  // result, the others give and get nullptr or nothing. They fail as the collectives do.
  //
  // `initial` is the policy to start from, and the reference policy when the KL coefficient
  // is above 0. A critic starts as the policy with a value head of zeros. Fails
  // also as the source does.
  absl::Status Initialize(const TensorSource* initial);
  // A checkpoint's state, after Initialize, which gave the reference policy; where that was
  // refreshed the checkpoint has it. Collective; fails also as the reader does, and
  // kFailedPrecondition if it lacks a model that learns.
  absl::Status Restore(const CheckpointReader& checkpoint);
  // This rank's share of what a checkpoint keeps. Not collective. Valid as `copy` says.
  StateShare Share(HostCopy& copy) const;
  std::vector<std::string> SavedModels() const;  // the names in it
  absl::StatusOr<std::shared_ptr<const PolicyWeights>> ExportPolicy() const {
    return policy_weights_->weights().Export();
  }

  // Learns from one batch as step `step` (0, 1, …), then refreshes the reference policy if the
  // config says so. From an empty batch nothing is learnt.
  // Fails: kInvalidArgument (a trajectory longer than a micro-batch), kInternal (a gradient that is
  // not finite), or as the collectives do.
  absl::StatusOr<UpdateMetrics> Run(const Batch& batch, int64_t step, double kl_coefficient);

 private:
  // What all mini-batches of a batch share, [N] each; empty where the algorithm has no use for it.
  struct BatchScores {
    std::vector<double> sampler_logprobs;
    std::vector<double> old_logprobs;
    std::vector<double> reference_logprobs;
    std::vector<double> values;
    Credit credit;
  };
  // This rank's micro-batches of some trajectories, and how unevenly the ranks share the work.
  struct PackedShare {
    MicroBatches mine;
    double imbalance = 0.0;
  };
  struct MiniBatch {
    int64_t step = 0;
    std::vector<double>
        weights;  // [N] each token's share in the loss; 0 where it is not learnt from
    double kl_coefficient = 0.0;
    PackedShare share;
  };
  struct ValueSums {
    double loss = 0.0;
    double tokens = 0.0;
    double clipped_tokens = 0.0;
  };

  TransformerOptions MakeTransformerOptions() const;
  // The models that learn, by their names in a checkpoint.
  std::vector<std::pair<std::string, TrainableWeights*>> Learning() const;
  WeightOptions MakeWeightOptions(const std::string& name, bool is_trainable) const;
  absl::StatusOr<PackedShare> PackMine(const Batch& batch, std::span<const int> trajectories) const;
  double GatherWaitSeconds() const;  // so far, of this rank
  // After `steps_done` steps: the reference policy becomes the policy, if it is time.
  absl::Status RefreshReference(int64_t steps_done);
  absl::StatusOr<UpdateMetrics> Learn(const Batch& batch, int64_t step, double kl_coefficient);
  absl::StatusOr<BatchScores> Score(const Batch& batch, double kl_coefficient);
  // The order in which pass `epoch` of a step goes through the batch.
  std::vector<int> OrderOf(const Batch& batch, int64_t step, int epoch) const;
  // Some trajectories as a mini-batch; its step and KL coefficient are not set.
  absl::StatusOr<MiniBatch> MakeMiniBatch(const Batch& batch,
                                          std::span<const int> trajectories) const;
  // One optimizer step of whatever learns. Adds to `metrics` and `value_sums`.
  absl::Status LearnFrom(const Batch& batch, const BatchScores& scores, const MiniBatch& mini,
                         UpdateMetrics& metrics, ValueSums& value_sums);
  // Forward and backward of one micro-batch, given on the host and on the device.
  using LearnFromMicroBatch = std::function<void(const MicroBatch&, const DeviceMicroBatch&)>;
  // Makes `gradients` zero, then learns from this rank's micro-batches of a mini-batch one after
  // the other; during the last one the gradients begin to be summed over the ranks. What is left
  // of that is the caller's to Finish.
  void LearnFromEach(const Batch& batch, const MiniBatch& mini,
                     std::span<GradientReducer* const> gradients, const LearnFromMicroBatch& learn);
  absl::StatusOr<double> UpdatePolicy(const Batch& batch, const BatchScores& scores,
                                      const MiniBatch& mini, ObjectiveSums& sums,
                                      ValueSums& value_sums);
  absl::StatusOr<double> UpdateCritic(const Batch& batch, const BatchScores& scores,
                                      const MiniBatch& mini, ValueSums& sums);
  // Lets the value head, and not the trunk, learn from a pass without gradient.
  absl::StatusOr<double> WarmUpValueHead(const Batch& batch, const BatchScores& scores,
                                         const MiniBatch& mini, ValueSums& sums);
  absl::StatusOr<double> StepValueHead(const MiniBatch& mini);
  // d(loss)/d(values) [n] of a micro-batch, on the device; `values` [n].
  at::Tensor ValueGradient(const MicroBatch& micro, const BatchScores& scores,
                           const MiniBatch& mini, const at::Tensor& values, ValueSums& sums) const;
  double CriticLearningRate(int64_t step) const;
  Objective ComputeObjective(const Batch& batch, const MicroBatch& micro, const BatchScores& scores,
                             const MiniBatch& mini, const TokenScores& tokens) const;
  absl::Status SumMetrics(UpdateMetrics& metrics) const;

  const UpdateOptions options_;
  const std::unique_ptr<TrainableWeights> policy_weights_;
  const std::unique_ptr<Transformer> policy_;
  // PPO: a critic of its own or a value head.
  std::unique_ptr<TrainableWeights> critic_weights_;
  std::unique_ptr<Transformer> critic_;
  std::unique_ptr<ValueHead> value_head_;
  std::unique_ptr<ShardedWeights> reference_weights_;  // with a KL penalty
  std::unique_ptr<Transformer> reference_;
  bool is_reference_saved_;  // it is, or may become, another than the run's first policy
};

}  // namespace routewright
