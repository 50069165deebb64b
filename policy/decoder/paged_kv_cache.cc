#include "policy/decoder/paged_kv_cache.h"

#include <algorithm>

#include "common/check.h"

namespace routewright {

PagedKvCache::PagedKvCache(const AttentionShape& shape, int64_t num_layers)
    : shape_(shape), num_layers_(num_layers), layer_size_(KvPageLayerSize(shape)) {}

PagedKvCache::PagedKvCache(const PagedKvCache& other, int64_t num_tokens)
    : PagedKvCache(other.shape_, other.num_layers_) {
  RW_CHECK(num_tokens >= 0 && num_tokens <= other.num_tokens_)
      << num_tokens << " of " << other.num_tokens_;
  num_tokens_ = num_tokens;
  const int64_t num_full = num_tokens / kKvPageTokens;
  pages_.assign(other.pages_.begin(), other.pages_.begin() + num_full);
  page_data_.assign(other.page_data_.begin(), other.page_data_.begin() + num_full);
  if (num_tokens % kKvPageTokens == 0) return;
  // Slots past num_tokens come along: finite numbers that attention weighs with zero,
  // until they are overwritten.
  Reserve(0);
  std::copy_n(other.page_data_[num_full], layer_size_ * num_layers_, pages_.back().get());
}

void PagedKvCache::Reserve(int64_t count) {
  const int64_t num_pages = (num_tokens_ + count + kKvPageTokens - 1) / kKvPageTokens;
  while (static_cast<int64_t>(pages_.size()) < num_pages) {
    pages_.emplace_back(ZeroedFloats(static_cast<size_t>(layer_size_ * num_layers_)));
    page_data_.push_back(pages_.back().get());
  }
}

void PagedKvCache::Store(int64_t layer, int64_t position, const float* keys, const float* values) {
  float* page = pages_[position / kKvPageTokens].get();
  StoreKeyValue(shape_, keys, values, position % kKvPageTokens, page + layer * layer_size_);
}

}  // namespace routewright
