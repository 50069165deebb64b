// One episode's keys and values in pages of 32 tokens, all layers of the policy in each page. Pages
// are allocated as tokens come, and full pages are shared between caches that were forked from one
// another, as the members of a group share their prompt.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/aligned_floats.h"
#include "kernels/decode_attention/decode_attention.h"
#include "policy/decoder/decoder.h"

namespace routewright {

// One thread at a time, forks included: the CPU decoder's own.
class PagedKvCache final : public KvCache {
 public:
  PagedKvCache(const AttentionShape& shape, int64_t num_layers);
  // The first num_tokens of `other`: full pages are shared, the rest of a page is copied.
  PagedKvCache(const PagedKvCache& other, int64_t num_tokens);

  int64_t num_tokens() const override { return num_tokens_; }

  // Makes room for `count` more tokens: at positions num_tokens() …, to be stored before Advance.
  void Reserve(int64_t count);
  // One layer's keys and values [num_kv_heads, D] of the token at `position`, which must have room
  // and be this cache's own (not before num_tokens()).
  void Store(int64_t layer, int64_t position, const float* keys, const float* values);
  void Advance(int64_t count) { num_tokens_ += count; }

  // As AttentionRow::pages wants them; until the next Reserve.
  const float* const* pages() const { return page_data_.data(); }
  int64_t LayerOffset(int64_t layer) const { return layer * layer_size_; }

 private:
  AttentionShape shape_;
  int64_t num_layers_;
  int64_t layer_size_;
  int64_t num_tokens_ = 0;
  // Owners: this cache and its forks. Only the last page is written, and that is never shared.
  std::vector<std::shared_ptr<float[]>> pages_;
  std::vector<const float*> page_data_;
};

}  // namespace routewright
