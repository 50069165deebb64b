// A model's parameters over the ranks, at any stage of sharding: the weight provider of training.
// Each rank owns an f32 share of every block (the masters, which the optimizer writes); what the
// model computes with is the whole block in the compute type, either kept (stages replicated,
// optimizer, gradients) or gathered just before use and dropped after (full).
//
//   forward, backward …                                  gradients().gradients(b) are there
//     ──▶ masters(b) written, MasterChanged(b)           for each block
//     ──▶ FinishChanges
//
// Every rank acquires, prefetches and releases the same blocks in the same order. One thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "policy/transformer/weight_provider.h"
#include "proto/config.pb.h"
#include "trainer/sharding/buffer_pool.h"
#include "trainer/sharding/gradient_reducer.h"
#include "trainer/sharding/rank_groups.h"
#include "trainer/sharding/shards.h"

namespace routewright {

struct WeightOptions {
  std::string name;  // "policy", "critic", "reference": in the names of collectives and in errors
  at::Device device = at::kCPU;
  at::ScalarType compute_type = at::kFloat;  // kFloat or kBFloat16
  bool is_trainable = true;      // false: no gradients are held, and shares are in the compute type
  ShardingConfig sharding = {};  // as the groups were made with
};

// What gathering cost, since the start.
struct GatherTimes {
  int64_t gathers = 0;
  int64_t bytes = 0;    // that this rank received from others
  absl::Duration wait;  // of the computing thread
};

class ShardedWeights final : public WeightProvider {
 public:
  // `groups` must outlive this object. Parameters are zero until Load.
  ShardedWeights(const ParameterLayout& layout, WeightOptions options, const RankGroups* groups);

  // From rank 0's tensors (nullptr on the others), and back (nullptr but on rank 0).
  // Collective. Fails as ScatterWeights and GatherWeights do.
  absl::Status Load(const TensorSource* weights);
  absl::StatusOr<std::shared_ptr<const PolicyWeights>> Export() const;
  // From a model of the same layout and groups, each rank its share, rounded to this one's type.
  // Collective; fails as the collectives do.
  absl::Status CopyFrom(const ShardedWeights& other);

  // A gather that failed is reported by the next Finish or FinishChanges.
  at::Tensor AcquireWeights(int block) override;
  void ReleaseWeights(int block) override;
  void PrefetchWeights(int block) override;
  at::Tensor GradientBuffer(int block) override;
  void GradientReady(int block) override;

  GradientReducer& gradients();

  // masters(block) were written to.
  void MasterChanged(int block);
  // Whole copies are as the masters again. Fails as the collectives do.
  absl::Status FinishChanges();
  // Both, of every block.
  absl::Status MastersChanged();
  // Frees memory that only passes need: after the last one of a step.
  void FreeSpares() { pool_.Clear(); }

  const ParameterLayout& layout() const { return layout_; }
  const WeightOptions& options() const { return options_; }
  const RankGroups& groups() const { return *groups_; }
  int num_blocks() const { return static_cast<int>(shards_.size()); }
  const std::vector<BlockShard>& shards() const { return shards_; }
  const at::Tensor& masters(int block) const { return masters_[block]; }  // f32 [count]
  at::Device master_device() const;
  const GatherTimes& gather_times() const { return statistics_; }

 private:
  bool is_on_host() const;
  bool is_gathered_on_demand() const;
  at::TensorOptions MasterOptions() const;
  at::Tensor OwnPart(int block) const;  // of whole_
  void MakeBlock(int block);
  void StartGather(int block);
  void FinishGather(int block);
  std::unique_ptr<Collective> GatherFromRanks(const char* kind, int block);

  const ParameterLayout layout_;
  const WeightOptions options_;
  const RankGroups* const groups_;
  const std::vector<BlockShard> shards_;
  BufferPool pool_;
  std::vector<at::Tensor>
      masters_;                    // [count]; a view of whole_ where both are kept and of one type
  std::vector<at::Tensor> whole_;  // [padded], compute type; on demand: without bytes between uses
  std::unique_ptr<GradientReducer> gradients_;        // if trainable
  std::vector<int> holds_;                            // acquired and not released
  std::vector<bool> is_gathering_;                    // started, not waited for
  std::vector<std::unique_ptr<Collective>> gathers_;  // of blocks that are being gathered
  std::vector<std::unique_ptr<Collective>> changes_;  // gathers of changed masters
  absl::Status status_;                               // the first failure
  GatherTimes statistics_;
};

}  // namespace routewright
