#include "launch/plan/memory_plan.h"

#include <algorithm>
#include <vector>

#include "kernels/token_logprob/head_chunk.h"
#include "launch/plan/planned_shards.h"
#include "policy/model/activation_memory.h"
#include "policy/model/parameter_layout.h"
#include "trainer/algorithm/update_passes.h"
#include "trainer/comm/communicator.h"

namespace routewright {
namespace {

constexpr int64_t kF32 = 4;

// One learning model's share of the plan.
class ModelPlan {
 public:
  ModelPlan(const PlanInput& input, HeadKind head)
      : input_(input),
        planned_(PlanShards(input, head)),
        is_tied_(input.model.is_tied && head == HeadKind::kLanguageModel) {}

  // Adds the state of a model that learns.
  void AddState(MemoryPlan& plan) const {
    AddCopyToSave(3 * elements(), plan);  // with the moments
    const bool is_shared = input_.bytes_per_element == kF32 && !is_offloaded();
    if (!is_on_demand()) plan.weights += elements() * input_.bytes_per_element;
    if (is_on_demand() || !is_shared) {
      (is_offloaded() ? plan.on_host : plan.weights) += share() * kF32;
    }
    const bool is_gradient_on_host = is_all_offloaded();
    (is_gradient_on_host ? plan.on_host : plan.gradients) +=
        (is_gradient_sharded() ? share() : elements()) * kF32;
    (is_offloaded() ? plan.on_host : plan.optimizer) += 2 * share() * kF32;
  }
  void AddReference(MemoryPlan& plan) const {
    if (input_.config.loss().reference_refresh_steps() > 0) AddCopyToSave(elements(), plan);
    if (!is_on_demand()) {
      plan.reference += elements() * input_.bytes_per_element;
    } else {
      (is_all_offloaded() ? plan.on_host : plan.reference) += share() * input_.bytes_per_element;
    }
  }

  // Makes `plan`'s numbers of a pass those of its most expensive moment.
  void AddPass(int64_t tokens, MemoryPlan& plan) const {
    const bool recompute = input_.config.recompute_activations();
    const int64_t bytes = input_.bytes_per_element;
    const bool are_norms_wide = bytes < kF32 && !input_.has_gpu;
    const int64_t chunk = HeadChunkBytes(input_.model.vocabulary_size,
                                         int64_t{input_.config.max_head_chunk_mib()} << 20, tokens);
    const ActivationPeak activations =
        PeakActivationBytes(input_.model, recompute, tokens, bytes, chunk, are_norms_wide);
    const ActivationElements elements = CountActivations(input_.model, recompute, are_norms_wide);
    const std::vector<int64_t>& sizes = planned_.block_elements;
    const int64_t block = largest_block(), output = is_tied_ ? sizes.front() : 0;
    const bool is_prefetched = input_.config.sharding().prefetch();
    // Buffers of blocks that a pass goes through are reused: two to gather, two for gradients.
    const int64_t gathers = is_on_demand() ? (is_prefetched ? 2 : 1) * block * bytes : 0;
    const int64_t block_gradient = is_gradient_sharded() ? block * kF32 : 0;
    const int64_t output_gradient = is_gradient_sharded() ? output * kF32 : 0;
    const int64_t head_gradient = is_gradient_sharded() ? sizes.back() * kF32 : 0;
    const int64_t left_over = input_.has_several_micro_batches ? 2 * block_gradient : 0;
    const int64_t head_weights = is_on_demand() ? (sizes.back() + output) * bytes : 0;
    Keep({.activations = activations.in_head,
          .gathered_blocks = gathers + head_weights,
          .gradient_buffers = output_gradient + head_gradient + left_over},
         plan);
    Keep(
        {.activations = activations.in_block,
         .gathered_blocks = gathers,
         .gradient_buffers = output_gradient + head_gradient + std::max(block_gradient, left_over)},
        plan);
    if (input_.model.num_layers > 1) {  // one block on, its predecessor's gradient is in flight
      Keep({.activations = activations.in_block - elements.kept_per_block * tokens * bytes,
            .gathered_blocks = gathers,
            .gradient_buffers = output_gradient + 2 * block_gradient},
           plan);
    }
    const int64_t largest = *std::max_element(sizes.begin(), sizes.end());
    if (input_.ranks > 1 && !input_.has_gpu) {
      plan.communication = std::max(plan.communication, std::min(largest * kF32, kMpiScratchBytes));
    }
  }

 private:
  struct Moment {
    int64_t activations, gathered_blocks, gradient_buffers;
  };
  static void Keep(const Moment& moment, MemoryPlan& plan) {
    const int64_t most = plan.activations + plan.gathered_blocks + plan.gradient_buffers;
    if (moment.activations + moment.gathered_blocks + moment.gradient_buffers <= most) return;
    plan.activations = moment.activations;
    plan.gathered_blocks = moment.gathered_blocks;
    plan.gradient_buffers = moment.gradient_buffers;
  }

  // Every rank writes as much as any other.
  void AddCopyToSave(int64_t elements, MemoryPlan& plan) const {
    if (!input_.config.checkpoint().asynchronous()) return;
    (input_.has_gpu ? plan.on_host : plan.checkpoint) += elements * kF32 / input_.ranks;
  }

  bool is_all_offloaded() const { return PlannedOffload(input_) == ShardingConfig::OFFLOAD_ALL; }
  bool is_offloaded() const {
    return is_all_offloaded() || PlannedOffload(input_) == ShardingConfig::OFFLOAD_OPTIMIZER;
  }
  bool is_on_demand() const { return planned_.are_weights_on_demand; }
  bool is_gradient_sharded() const { return planned_.are_gradients_sharded; }
  int64_t elements() const { return planned_.elements; }
  int64_t share() const { return planned_.elements / planned_.shards; }
  int64_t largest_block() const {
    const std::vector<int64_t>& sizes = planned_.block_elements;
    return sizes.size() > 2 ? *std::max_element(sizes.begin() + 1, sizes.end() - 1) : 0;
  }

  const PlanInput& input_;
  const PlannedShards planned_;
  const bool is_tied_;
};

}  // namespace

MemoryPlan PlanMemory(const PlanInput& input) {
  MemoryPlan plan;
  const ModelPlan policy(input, HeadKind::kLanguageModel);
  policy.AddState(plan);
  policy.AddPass(input.config.max_micro_batch_tokens(), plan);
  if (HasReference(input.config)) policy.AddReference(plan);
  if (HasCritic(input.config)) {  // a value head alone is nothing beside it
    const ModelPlan critic(input, HeadKind::kValue);
    critic.AddState(plan);
    critic.AddPass(input.config.max_micro_batch_tokens(), plan);
  }
  return plan;
}

int64_t LargestMicroBatch(PlanInput input, int64_t capacity_bytes) {
  const auto fits = [&](int64_t tokens) {
    input.config.set_max_micro_batch_tokens(static_cast<int32_t>(tokens));
    return PlanMemory(input).peak() <= capacity_bytes;
  };
  int64_t most = 0;
  for (int64_t step = int64_t{1} << 24; step > 0; step /= 2) {
    if (fits(most + step)) most += step;
  }
  return most;
}

}  // namespace routewright
