// What a pass of the transformer holds on the device beside weights and gradients, in elements of
// the compute type per packed token: for planning. It states what policy/transformer/transformer_block and
// policy/transformer/transformer keep for the backward; tests/policy/model/activation_memory_test counts it. Pure.
//
// One block keeps, with Q = (H + 2K)·D: its input C; of each norm the normed input and the output,
// 4C; rotated queries, keys and values Q; attended H·D and the log-sums of its rows H; the sum
// after attention C; gate and up 2I; silu(gate) I; their product I; 1 / rms of each norm, 2.
#pragma once

#include <cstdint>

#include "policy/model/model_config.h"

namespace routewright {

struct ActivationElements {
  int64_t kept_per_block = 0;    // from the forward until the block's backward
  int64_t kept_always = 0;       // the last hidden state and the rotation tables' rows
  int64_t block_backward = 0;    // at most at once in a block's backward, beside what is kept
  int64_t block_recomputed = 0;  // what a recomputed block keeps, beside its input
  int64_t head_backward = 0;     // at most at once in the head, beside its chunk
  int64_t head_norm = 0;         // that its norm keeps on top, if norms are wide
};
// `are_norms_wide`: in bf16 on a CPU, where LibTorch makes norms of f32 and keeps what it made;
// the log-sums are f32 too.
ActivationElements CountActivations(const ModelConfig& config, bool recompute_activations,
                                    bool are_norms_wide);

// Bytes that a pass over `tokens` holds at most, beside weights and gradients, and in which part.
//   bytes_per_element  of the compute type
struct ActivationPeak {
  int64_t in_head = 0;   // all blocks' activations, the head's own and its chunk
  int64_t in_block = 0;  // in the backward of the last block, which has all others' before it
};
ActivationPeak PeakActivationBytes(const ModelConfig& config, bool recompute_activations,
                                   int64_t tokens, int64_t bytes_per_element,
                                   int64_t head_chunk_bytes, bool are_norms_wide);

}  // namespace routewright
