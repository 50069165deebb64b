// Causal attention within each sequence of a pack. Sequences of like length share one right-padded
// batch [B, H, Tmax, D]; causality alone keeps padding out of real rows, so no mask is needed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace routewright {

// How a pack's sequences are batched. Made once a forward, used by every block.
struct AttentionPlan {
  struct Batch {
    int64_t num_sequences = 0;  // B
    int64_t length = 0;         // Tmax
    at::Tensor rows;  // [B · Tmax] int64: the packed row of each place; padding repeats a real row
    // ≥ 0: the batch is packed rows [first_row, first_row + B · Tmax) as they lie.
    int64_t first_row = -1;
  };
  std::vector<Batch> batches;
  // [T] int64: place of each packed row among all batches' rows. Undefined: the identity.
  at::Tensor places;
};

// offsets [B+1] as in PackedTokens: ascending, from 0; no sequence is empty.
AttentionPlan PlanAttention(const std::vector<int64_t>& offsets, const at::Device& device);

//   qkv [T, (H + 2K) · D]: H query heads, then K key heads, then K value heads, rotated     returns
//   [T, H · D]
// Differentiable. K divides H: query head h attends with key head h / (H / K).
at::Tensor PackedAttention(const at::Tensor& qkv, const AttentionPlan& plan, int64_t num_heads,
                           int64_t num_kv_heads);

}  // namespace routewright
