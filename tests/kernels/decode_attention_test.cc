#include "kernels/decode_attention/decode_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_testing.h"

namespace routewright {
namespace {

// Keys and values of one episode, plain and in pages that hold two layers (the
// second is the one under test).
class Episode {
 public:
  Episode(const AttentionShape& shape, int64_t num_tokens, uint64_t key, double scale = 1)
      : shape_(shape),
        keys_(RandomFloats(num_tokens * shape.num_kv_heads * shape.head_width, key, scale)),
        values_(RandomFloats(num_tokens * shape.num_kv_heads * shape.head_width, key + 1, scale)),
        queries_(RandomFloats(num_tokens * shape.num_heads * shape.head_width, key + 2, scale)) {
    const int64_t size = KvPageLayerSize(shape), kv_width = shape.num_kv_heads * shape.head_width;
    for (int64_t t = 0; t < num_tokens; ++t) {
      if (t % kKvPageTokens == 0) pages_.emplace_back(2 * size);
      StoreKeyValue(shape, &keys_[t * kv_width], &values_[t * kv_width], t % kKvPageTokens,
                    pages_.back().data() + size);
    }
    for (const std::vector<float>& page : pages_) page_pointers_.push_back(page.data());
  }
  AttentionRow Row(int64_t num_tokens, float* output) const {
    return {query(num_tokens), output, page_pointers_.data(), num_tokens};
  }
  std::vector<float> Run(int64_t num_tokens, CpuLevel level) const {
    std::vector<float> output(shape_.num_heads * shape_.head_width);
    const AttentionRow row = Row(num_tokens, output.data());
    DecodeAttention(shape_, {&row, 1}, KvPageLayerSize(shape_), 1, level);
    return output;
  }
  std::vector<float> Reference(int64_t num_tokens) const {
    std::vector<float> output(shape_.num_heads * shape_.head_width);
    DecodeAttentionReference(shape_, query(num_tokens), keys_.data(), values_.data(), num_tokens,
                             output.data());
    return output;
  }

 private:
  const float* query(int64_t num_tokens) const {
    return &queries_[(num_tokens - 1) * shape_.num_heads * shape_.head_width];
  }
  AttentionShape shape_;
  std::vector<float> keys_, values_, queries_;
  std::vector<std::vector<float>> pages_;
  std::vector<const float*> page_pointers_;
};

const std::vector<AttentionShape> kShapes = {{1, 1, 2},  {4, 4, 32}, {9, 3, 64}, {6, 2, 10},
                                             {7, 1, 16}, {4, 2, 48}, {8, 2, 33}};

TEST(DecodeAttentionTest, EqualsTheReferenceAtOddSizes) {
  for (CpuLevel level : LevelsHere()) {
    for (const AttentionShape& shape : kShapes) {
      const Episode episode(shape, 131, 7);
      for (int64_t num_tokens : {1, 2, 31, 32, 33, 64, 65, 131}) {
        const std::vector<float> actual = episode.Run(num_tokens, level);
        const std::vector<float> expected = episode.Reference(num_tokens);
        for (size_t i = 0; i < actual.size(); ++i) {
          ASSERT_NEAR(actual[i], expected[i], 2e-6)
              << CpuLevelName(level) << " " << num_tokens << " tokens, element " << i;
        }
      }
    }
  }
}

TEST(DecodeAttentionTest, LargeScoresStayFinite) {
  for (CpuLevel level : LevelsHere()) {
    const Episode episode({4, 2, 32}, 70, 9, 1e4);
    const std::vector<float> actual = episode.Run(70, level), expected = episode.Reference(70);
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_NEAR(actual[i], expected[i], 1e-3 * std::abs(expected[i]) + 1e-2);
    }
  }
}

TEST(DecodeAttentionTest, RowIsTheSameBitsInAnyBatchWithAnyThreads) {
  for (const AttentionShape& shape : kShapes) {
    std::vector<Episode> episodes;
    for (int64_t i = 0; i < 20; ++i) episodes.emplace_back(shape, 1 + 17 * i, 100 * i);
    const int64_t size = shape.num_heads * shape.head_width;
    for (int num_threads : {1, 3}) {
      std::vector<float> output(20 * size);
      std::vector<AttentionRow> rows;
      for (int64_t i = 0; i < 20; ++i)
        rows.push_back(episodes[i].Row(1 + 17 * i, &output[i * size]));
      DecodeAttention(shape, rows, KvPageLayerSize(shape), num_threads);
      for (int64_t i = 0; i < 20; ++i) {
        const std::vector<float> alone = episodes[i].Run(1 + 17 * i, BestCpuLevel());
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(), output.begin() + i * size))
            << "row " << i;
      }
    }
  }
}

TEST(DecodeAttentionTest, TokensAfterTheRowsOwnDoNotMatter) {
  const AttentionShape shape = {6, 2, 24};
  const Episode whole(shape, 100, 11);
  for (int64_t num_tokens : {1, 40, 63, 99}) {
    const Episode prefix(shape, num_tokens, 11);
    EXPECT_EQ(whole.Run(num_tokens, BestCpuLevel()), prefix.Run(num_tokens, BestCpuLevel()));
  }
}

TEST(DecodeAttentionTest, Avx2AndAvx512GiveEqualBits) {
  if (BestCpuLevel() != CpuLevel::kAvx512) GTEST_SKIP() << "no AVX-512 here";
  for (const AttentionShape& shape : kShapes) {
    const Episode episode(shape, 77, 13);
    for (int64_t num_tokens : {1, 32, 77}) {
      EXPECT_EQ(episode.Run(num_tokens, CpuLevel::kAvx2),
                episode.Run(num_tokens, CpuLevel::kAvx512));
    }
  }
}

}  // namespace
}  // namespace routewright
