// How much memory a rank of a run needs, by kind, before it is started: from the model's shape, the
// trainer's config and the numbers of ranks alone. What policy/model/activation_memory states of one
// pass, and what trainer/sharding/sharded_weights and trainer/sharding/gradient_reducer keep. Pure; any thread.
#pragma once

#include <cstdint>

#include "policy/model/model_config.h"
#include "proto/config.pb.h"

namespace routewright {

struct PlanInput {
  ModelConfig model;
  TrainerConfig config;
  int64_t bytes_per_element = 4;  // of the compute type
  int ranks = 1;
  int ranks_per_host = 1;
  bool has_gpu = false;  // offloading moves state from it to the host
  // More than one: buffers of the last micro-batch are still there in the next one's head.
  bool has_several_micro_batches = true;
};

// Bytes of one rank on its device. Policy and, for PPO, critic are summed.
struct MemoryPlan {
  int64_t weights = 0;    // f32 masters, and whole copies where they are kept
  int64_t gradients = 0;  // that live as long as the run
  int64_t optimizer = 0;
  int64_t reference = 0;   // the reference policy's weights
  int64_t checkpoint = 0;  // on a CPU: the copy that a checkpoint is written from
  // At the moment of a step when they are most, together:
  int64_t activations = 0;       // with the head's chunk
  int64_t gathered_blocks = 0;   // whole blocks that are being used, fetched or kept for the next
  int64_t gradient_buffers = 0;  // whole blocks' gradients before they are reduced
  int64_t communication = 0;     // MPI's pieces of a reduce-scatter, on the host
  int64_t on_host = 0;           // of a GPU's rank: offloaded state, and the checkpoint's copy

  int64_t state() const { return weights + gradients + optimizer + reference + checkpoint; }
  int64_t peak() const { return state() + activations + gathered_blocks + gradient_buffers; }
};
MemoryPlan PlanMemory(const PlanInput& input);

// The most packed tokens of a micro-batch for which the peak is at most
// `capacity_bytes`; 0: not even one fits.
int64_t LargestMicroBatch(PlanInput input, int64_t capacity_bytes);

}  // namespace routewright
