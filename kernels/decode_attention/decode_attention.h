// Attention of single tokens to their own episode's keys and values so far, with grouped
// heads: the decoder's. A token's result is a function of its query and of the keys and values
// that it sees, the same bits in any batch and with any number of threads. Bound by the bytes
// of keys and values read.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu_level.h"

namespace routewright {

struct AttentionShape {
  int64_t num_heads = 0;  // H
  int64_t num_kv_heads =
      0;                   // divides num_heads; head h reads kv head h / (num_heads / num_kv_heads)
  int64_t head_width = 0;  // D, any
};

// Keys and values lie in pages of 32 tokens. In a page, a layer's part is for each kv head
//   keys   [D, 32]    keys of the page's tokens side by side, so that 32 scores are made at once
//   values [32, Dp]   Dp = D rounded up to 16, zeros past D
// Slots not yet written must be zero.
constexpr int64_t kKvPageTokens = 32;
// Floats of one layer's part of a page.
int64_t KvPageLayerSize(const AttentionShape& shape);
// Writes one token's keys and values [num_kv_heads, D] into slot `slot` of a page's layer part.
void StoreKeyValue(const AttentionShape& shape, const float* keys, const float* values,
                   int64_t slot, float* layer_part);

struct AttentionRow {
  const float* query;  // [H, D]
  float* output;       // [H, D], not overlapping any input
  const float* const*
      pages;           // the episode's pages; layer_offset floats into each is this layer's part
  int64_t num_tokens;  // attends to tokens 0 … num_tokens-1, itself included; > 0
};

// output[h] = Σ_t softmax_t(query[h]·key_t / √D) value_t.   Source: Vaswani et al. 2017,
// equation 1. Uses up to num_threads OpenMP threads. Any thread may call.
void DecodeAttention(const AttentionShape& shape, std::span<const AttentionRow> rows,
                     int64_t layer_offset, int num_threads, CpuLevel level = BestCpuLevel());

// The same for one row from plain keys and values [num_tokens, num_kv_heads, D], in f64.
void DecodeAttentionReference(const AttentionShape& shape, const float* query, const float* keys,
                              const float* values, int64_t num_tokens, float* output);

}  // namespace routewright
