// The fast path of DecodeAttention, one (row, kv head) at a time: scores of all tokens page by
// page, their softmax, then the weighted sum of values. The heads of a group go together where
// registers allow, and share the reads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/decode_attention/decode_attention.h"
#include "kernels/lanes.h"

namespace routewright {
namespace {

constexpr int64_t kPage = kKvPageTokens;
// Below this many multiply-adds a second thread costs more than it brings.
constexpr int64_t kMinWorkPerThread = 1 << 16;

int64_t PaddedWidth(const AttentionShape& shape) {
  return (shape.head_width + kLogicalLanes - 1) / kLogicalLanes * kLogicalLanes;
}

int64_t KvHeadSize(const AttentionShape& shape) {
  return kPage * (shape.head_width + PaddedWidth(shape));
}

// One row's view of one kv head.
struct HeadView {
  const AttentionRow* row;
  int64_t offset;  // of the kv head's keys in every page
  int64_t head_width;
  int64_t padded_width;
  int64_t num_pages;
  float* scores;  // [G, num_pages * 32] scratch

  const float* keys(int64_t page) const { return row->pages[page] + offset; }
  const float* values(int64_t page) const { return keys(page) + kPage * head_width; }
  float* scores_of(int64_t head) const { return scores + head * num_pages * kPage; }
};

// scores[g][t] = query[g] · key[t] for G heads, summed over d in ascending order.
template <int N, int G>
RW_KERNEL_INLINE void Scores(const HeadView& view, const float* query, int64_t first) {
  constexpr int kVectors = kPage / N;
  for (int64_t page = 0; page < view.num_pages; ++page) {
    const float* keys = view.keys(page);
    Floats<N> sums[G][kVectors] = {};
    for (int64_t d = 0; d < view.head_width; ++d) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        Floats<N> key;
        Load<N>(keys + d * kPage + v * N, key);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) sums[g][v] += key * query[g * view.head_width + d];
      }
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const Floats<N> sum = sums[g][v];
        Store<N>(sum, view.scores_of(first + g) + page * kPage + v * N);
      }
    }
  }
}

// scores → e^((score - largest) / √D), 0 past the last token; returns their sum.
template <int N>
RW_KERNEL_INLINE float Softmax(float* scores, int64_t num_tokens, int64_t num_padded,
                               int64_t head_width) {
  constexpr int kVectors = kLogicalLanes / N;
  std::fill(scores + num_tokens, scores + num_padded, -std::numeric_limits<float>::infinity());
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_width)));
  Floats<N> largest;
  Load<N>(scores, largest);
  for (int64_t t = N; t < num_padded; t += N) {
    Floats<N> score;
    Load<N>(scores + t, score);
    largest = score > largest ? score : largest;
  }
  float lanes[kLogicalLanes];
  Store<N>(largest, lanes);
  const float peak = *std::max_element(lanes, lanes + N);
  Floats<N> sums[kVectors] = {};
  for (int64_t t = 0; t < num_padded; t += kLogicalLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Floats<N> weight;
      Load<N>(scores + t + v * N, weight);
      weight = (weight - peak) * scale;
      Exp<N>(weight);
      Store<N>(weight, scores + t + v * N);
      sums[v] += weight;
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const Floats<N> sum = sums[v];
    Store<N>(sum, lanes + v * N);
  }
  return SumLanes(lanes);
}

// sums[g][d] = Σ_t scores[g][t] value[t][d] for G heads and W·16 columns from `column`: even tokens
// in one sum, odd ones in another, so that two chains run at once.
template <int N, int G, int W>
RW_KERNEL_INLINE void WeightedValues(const HeadView& view, int64_t first, int64_t column,
                                     float* output) {
  constexpr int kVectors = W * kLogicalLanes / N;
  Floats<N> even[G][kVectors] = {}, odd[G][kVectors] = {};
  for (int64_t page = 0; page < view.num_pages; ++page) {
    const float* values = view.values(page) + column;
    const float* weights = view.scores_of(first) + page * kPage;
    const int64_t left = std::min(kPage, view.row->num_tokens - page * kPage);
    for (int64_t t = 0; t < left; t += 2) {  // an odd end's partner has weight 0
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        Floats<N> a, b;
        Load<N>(values + t * view.padded_width + v * N, a);
        Load<N>(values + (t + 1) * view.padded_width + v * N, b);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
          even[g][v] += a * weights[g * view.num_pages * kPage + t];
          odd[g][v] += b * weights[g * view.num_pages * kPage + t + 1];
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Floats<N> sum = even[g][v] + odd[g][v];
      Store<N>(sum, output + g * W * kLogicalLanes + v * N);
    }
  }
}

template <int N, int G, int W>
RW_KERNEL_INLINE void OutputColumns(const HeadView& view, int64_t first, int64_t column,
                                    const float* totals, float* output) {
  float sums[G * W * kLogicalLanes];
  WeightedValues<N, G, W>(view, first, column, sums);
  const int64_t count = std::min<int64_t>(W * kLogicalLanes, view.head_width - column);
  for (int g = 0; g < G; ++g) {
    const float scale = 1 / totals[g];
    for (int64_t d = 0; d < count; ++d) {
      output[g * view.head_width + column + d] = sums[g * W * kLogicalLanes + d] * scale;
    }
  }
}

// All of attention for heads first … first+G-1 of the group.
template <int N, int G>
RW_KERNEL_INLINE void Heads(const HeadView& view, const float* query, int64_t first,
                            float* output) {
  query += first * view.head_width;
  output += first * view.head_width;
  Scores<N, G>(view, query, first);
  float totals[G];
  for (int g = 0; g < G; ++g) {
    totals[g] = Softmax<N>(view.scores_of(first + g), view.row->num_tokens, view.num_pages * kPage,
                           view.head_width);
  }
  int64_t column = 0;
  for (; column + 2 * kLogicalLanes <= view.padded_width; column += 2 * kLogicalLanes) {
    OutputColumns<N, G, 2>(view, first, column, totals, output);
  }
  if (column < view.padded_width) OutputColumns<N, G, 1>(view, first, column, totals, output);
}

struct GroupKernel {
  template <int N>
  static RW_KERNEL_INLINE void Run(const HeadView* view, const float* query, float* output,
                                   int64_t group) {
    int64_t first = 0;
    if constexpr (N == 16) {  // more heads' sums would not fit 16 registers
      for (; first + 3 <= group; first += 3) Heads<N, 3>(*view, query, first, output);
    }
    for (; first < group; ++first) Heads<N, 1>(*view, query, first, output);
  }
};

}  // namespace

int64_t KvPageLayerSize(const AttentionShape& shape) {
  return shape.num_kv_heads * KvHeadSize(shape);
}

void StoreKeyValue(const AttentionShape& shape, const float* keys, const float* values,
                   int64_t slot, float* layer_part) {
  const int64_t width = shape.head_width;
  for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
    float* head_keys = layer_part + head * KvHeadSize(shape);
    for (int64_t d = 0; d < width; ++d) head_keys[d * kPage + slot] = keys[head * width + d];
    float* head_values = head_keys + kPage * width + slot * PaddedWidth(shape);
    std::copy_n(values + head * width, width, head_values);
  }
}

void DecodeAttention(const AttentionShape& shape, std::span<const AttentionRow> rows,
                     int64_t layer_offset, int num_threads, CpuLevel level) {
  const int64_t group = shape.num_heads / shape.num_kv_heads;
  int64_t num_tokens = 0, most_pages = 0;
  for (const AttentionRow& row : rows) {
    num_tokens += row.num_tokens;
    most_pages = std::max(most_pages, (row.num_tokens + kPage - 1) / kPage);
  }
  const int64_t num_tasks = static_cast<int64_t>(rows.size()) * shape.num_kv_heads;
  const int64_t work = 2 * num_tokens * shape.num_heads * shape.head_width;
  const int64_t threads = std::clamp<int64_t>(work / kMinWorkPerThread, 1, num_threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    std::vector<float> scratch(group * most_pages * kPage);
#pragma omp for schedule(dynamic, 8)
    for (int64_t task = 0; task < num_tasks; ++task) {
      const AttentionRow& row = rows[task / shape.num_kv_heads];
      const int64_t kv_head = task % shape.num_kv_heads, first = kv_head * group * shape.head_width;
      const HeadView view = {&row,
                             layer_offset + kv_head * KvHeadSize(shape),
                             shape.head_width,
                             PaddedWidth(shape),
                             (row.num_tokens + kPage - 1) / kPage,
                             scratch.data()};
      RunAtLevel<GroupKernel>(level, &view, row.query + first, row.output + first, group);
    }
  }
}

}  // namespace routewright
