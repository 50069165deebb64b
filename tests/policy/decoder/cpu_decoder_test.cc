#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "kernels/decode_attention/decode_attention.h"
#include "kernels/row_linear/row_linear.h"
#include "kernels/row_ops/row_ops.h"
#include "policy/decoder/decoder.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<uint32_t>;

std::unique_ptr<Decoder> MakeDecoder(const ModelConfig& config, int num_threads = 1,
                                     uint64_t seed = 1) {
  return NewCpuDecoder(config, RandomPolicyWeights(config, seed), num_threads).value();
}

// The whole sequence's logits [T, V], in chunks of `chunk` tokens.
std::vector<float> RunInChunks(Decoder& decoder, const Ids& ids, size_t chunk) {
  const std::unique_ptr<KvCache> cache = decoder.NewCache();
  std::vector<float> logits;
  for (size_t first = 0; first < ids.size(); first += chunk) {
    const DecodeRow row = {
        cache.get(), std::span(ids).subspan(first, std::min(chunk, ids.size() - first)), true};
    const auto part = decoder.Decode({&row, 1}).value();
    logits.insert(logits.end(), part[0].begin(), part[0].end());
  }
  return logits;
}

// A policy written down plainly from the reference kernels, over a whole sequence.
class PlainModel {
 public:
  PlainModel(const ModelConfig& config, const PolicyWeights& weights)
      : config_(config), weights_(weights) {}

  std::vector<float> Logits(const Ids& ids) const {
    const int64_t width = config_.width;
    std::vector<float> x;
    for (uint32_t id : ids) {
      const float* row = &Values("model.embed_tokens.weight")[id * width];
      x.insert(x.end(), row, row + width);
    }
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      Add(x, Attention(prefix, Norm(x, prefix + "input_layernorm.weight")));
      Add(x, Mlp(prefix, Norm(x, prefix + "post_attention_layernorm.weight")));
    }
    x = Norm(x, "model.norm.weight");
    return Linear(x, config_.is_tied ? "model.embed_tokens" : "lm_head");
  }

 private:
  const std::vector<float>& Values(const std::string& name) const {
    return weights_.Find(name)->values;
  }

  static void Add(std::vector<float>& x, const std::vector<float>& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  std::vector<float> Linear(const std::vector<float>& x, const std::string& name) const {
    const HostTensor* weight = weights_.Find(name + ".weight");
    const HostTensor* bias = weights_.Find(name + ".bias");
    const int64_t num_outputs = weight->shape[0], num_inputs = weight->shape[1];
    const int64_t num_rows = static_cast<int64_t>(x.size()) / num_inputs;
    std::vector<float> y(num_rows * num_outputs);
    RowLinearReference(x.data(), num_rows, weight->values.data(), num_outputs, num_inputs,
                       bias == nullptr ? nullptr : bias->values.data(), y.data());
    return y;
  }

  std::vector<float> Norm(const std::vector<float>& x, const std::string& name) const {
    const std::vector<float>& weight = Values(name);
    const auto width = static_cast<int64_t>(weight.size());
    std::vector<float> y(x.size());
    RmsNormReference(x.data(), static_cast<int64_t>(x.size()) / width, width, weight.data(),
                     config_.norm_epsilon, y.data());
    return y;
  }

  std::vector<float> Attention(const std::string& prefix, const std::vector<float>& x) const {
    std::vector<float> q = Linear(x, prefix + "self_attn.q_proj"),
                       k = Linear(x, prefix + "self_attn.k_proj");
    const std::vector<float> v = Linear(x, prefix + "self_attn.v_proj");
    if (config_.is_qk_normed) {
      q = Norm(q, prefix + "self_attn.q_norm.weight");
      k = Norm(k, prefix + "self_attn.k_norm.weight");
    }
    const int64_t q_width = config_.num_heads * config_.head_width;
    const int64_t kv_width = config_.num_kv_heads * config_.head_width;
    std::vector<float> y(q.size());
    for (int64_t t = 0; t < static_cast<int64_t>(q.size()) / q_width; ++t) {
      std::vector<float> cosines, sines;
      for (double frequency : config_.RopeFrequencies()) {
        cosines.push_back(static_cast<float>(std::cos(static_cast<double>(t) * frequency)));
        sines.push_back(static_cast<float>(std::sin(static_cast<double>(t) * frequency)));
      }
      RotateHeadsReference(&q[t * q_width], config_.num_heads, config_.head_width, cosines.data(),
                           sines.data());
      RotateHeadsReference(&k[t * kv_width], config_.num_kv_heads, config_.head_width,
                           cosines.data(), sines.data());
      DecodeAttentionReference({config_.num_heads, config_.num_kv_heads, config_.head_width},
                               &q[t * q_width], k.data(), v.data(), t + 1, &y[t * q_width]);
    }
    return Linear(y, prefix + "self_attn.o_proj");
  }

  std::vector<float> Mlp(const std::string& prefix, const std::vector<float>& x) const {
    const std::vector<float> gate = Linear(x, prefix + "mlp.gate_proj"),
                             up = Linear(x, prefix + "mlp.up_proj");
    std::vector<float> y(gate.size());
    for (size_t i = 0; i < y.size(); ++i) {
      const float pair[2] = {gate[i], up[i]};
      SiluMultiplyReference(pair, 1, 1, &y[i]);
    }
    return Linear(y, prefix + "mlp.down_proj");
  }

  const ModelConfig& config_;
  const PolicyWeights& weights_;
};

class CpuDecoderTest : public ::testing::TestWithParam<ModelConfig> {};
INSTANTIATE_TEST_SUITE_P(Families, CpuDecoderTest, ::testing::ValuesIn(TinyConfigs()),
                         [](const auto& info) {
                           return ArchitectureName(info.param.architecture);
                         });

TEST_P(CpuDecoderTest, EqualsThePlainModel) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const Ids ids = RandomTokens(GetParam(), 70, 3);
  const std::vector<float> actual = RunInChunks(*decoder, ids, 70);
  const auto weights = RandomPolicyWeights(GetParam(), 1);
  const std::vector<float> expected = PlainModel(GetParam(), *weights).Logits(ids);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], 1e-5) << "element " << i;
}

TEST_P(CpuDecoderTest, ChunksDoNotChangeBits) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const Ids ids = RandomTokens(GetParam(), 100, 4);
  const std::vector<float> whole = RunInChunks(*decoder, ids, 100);
  for (size_t chunk : {1, 7, 32, 64}) EXPECT_EQ(RunInChunks(*decoder, ids, chunk), whole) << chunk;
}

TEST_P(CpuDecoderTest, OtherRowsAndThreadsDoNotChangeBits) {
  std::vector<Ids> sequences;
  for (int64_t i = 0; i < 9; ++i) sequences.push_back(RandomTokens(GetParam(), 5 + 13 * i, 50 + i));
  const std::unique_ptr<Decoder> alone = MakeDecoder(GetParam());
  for (int num_threads : {1, 2}) {
    const std::unique_ptr<Decoder> together = MakeDecoder(GetParam(), num_threads);
    std::vector<std::unique_ptr<KvCache>> caches;
    std::vector<DecodeRow> rows;
    for (const Ids& ids : sequences) {
      caches.push_back(together->NewCache());
      rows.push_back({caches.back().get(), ids, true});
    }
    const auto logits = together->Decode(rows).value();
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(logits[i], RunInChunks(*alone, sequences[i], 1000)) << "row " << i;
    }
  }
}

TEST_P(CpuDecoderTest, LastLogitsEqualAllLogitsAndUnwantedOnesAreEmpty) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const Ids first = RandomTokens(GetParam(), 40, 5), second = RandomTokens(GetParam(), 9, 6);
  const auto a = decoder->NewCache(), b = decoder->NewCache(), c = decoder->NewCache();
  const std::vector<DecodeRow> rows = {
      {a.get(), first, false, false}, {b.get(), second}, {c.get(), first}};
  const auto logits = decoder->Decode(rows).value();
  EXPECT_TRUE(logits[0].empty());
  const std::vector<float> all = RunInChunks(*decoder, second, 100);
  EXPECT_EQ(logits[1], std::vector<float>(all.end() - GetParam().vocabulary_size, all.end()));
  // The row without logits filled its cache all the same.
  EXPECT_EQ(a->num_tokens(), 40);
  const DecodeRow next_a = {a.get(), second}, next_c = {c.get(), second};
  EXPECT_EQ(decoder->Decode({&next_a, 1}).value(), decoder->Decode({&next_c, 1}).value());
}

TEST_P(CpuDecoderTest, ForkedCacheContinuesAsIfRunAgain) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const Ids ids = RandomTokens(GetParam(), 90, 7), other = RandomTokens(GetParam(), 30, 8);
  const auto trunk = decoder->NewCache();
  const DecodeRow fill = {trunk.get(), ids};
  decoder->Decode({&fill, 1}).value();
  for (int64_t shared : {1, 31, 32, 50, 64, 90}) {
    const auto fork = decoder->ForkCache(*trunk, shared);
    EXPECT_EQ(fork->num_tokens(), shared);
    Ids joined(ids.begin(), ids.begin() + shared);
    joined.insert(joined.end(), other.begin(), other.end());
    const auto fresh = decoder->NewCache();
    const DecodeRow forked = {fork.get(), other}, whole = {fresh.get(), joined};
    EXPECT_EQ(decoder->Decode({&forked, 1}).value(), decoder->Decode({&whole, 1}).value())
        << shared;
  }
  // The trunk itself is untouched by its forks.
  const auto fresh = decoder->NewCache();
  const DecodeRow refill = {fresh.get(), ids}, next = {trunk.get(), other},
                  again = {fresh.get(), other};
  decoder->Decode({&refill, 1}).value();
  EXPECT_EQ(decoder->Decode({&next, 1}).value(), decoder->Decode({&again, 1}).value());
}

TEST_P(CpuDecoderTest, SetWeightsGivesTheSameAsAFreshDecoder) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam(), 1, 1),
                                 fresh = MakeDecoder(GetParam(), 1, 2);
  const Ids ids = RandomTokens(GetParam(), 10, 9);
  EXPECT_NE(RunInChunks(*decoder, ids, 10), RunInChunks(*fresh, ids, 10));
  ASSERT_TRUE(decoder->SetWeights(RandomPolicyWeights(GetParam(), 2)).ok());
  EXPECT_EQ(RunInChunks(*decoder, ids, 10), RunInChunks(*fresh, ids, 10));
}

TEST_P(CpuDecoderTest, SampleDrawsFromWhatDecodeGives) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const Ids prompt = RandomTokens(GetParam(), 20, 1), other = RandomTokens(GetParam(), 9, 2);
  const auto a = decoder->NewCache(), b = decoder->NewCache(), c = decoder->NewCache();
  const TokenDraw draw = {.temperature = 0.8, .key = 5, .counter = 3};
  const std::vector<SampleRow> rows = {{.cache = a.get(), .token_ids = other, .draw = {}},
                                       {.cache = b.get(), .token_ids = prompt, .draw = draw}};
  const std::vector<SampledToken> sampled = decoder->Sample(rows).value();
  ASSERT_EQ(sampled.size(), 2u);
  EXPECT_EQ(sampled[0].token_id, 0u);
  EXPECT_EQ(sampled[0].logprob, 0.0f);
  EXPECT_EQ(a->num_tokens(), 9);
  const DecodeRow row = {c.get(), prompt};
  const SampledToken plain = SampleToken(decoder->Decode({&row, 1}).value()[0], 0.8, 5, 3);
  EXPECT_EQ(sampled[1].token_id, plain.token_id);
  EXPECT_EQ(sampled[1].logprob, plain.logprob);
}

TEST_P(CpuDecoderTest, RefusesBadTokensAndLongSequencesWithoutTouchingACache) {
  const std::unique_ptr<Decoder> decoder = MakeDecoder(GetParam());
  const auto good = decoder->NewCache(), bad = decoder->NewCache();
  const Ids fine = {1, 2}, outside = {1, 97}, too_long = RandomTokens(GetParam(), 161, 1);
  const std::vector<DecodeRow> rows = {{good.get(), fine}, {bad.get(), outside}};
  const absl::Status invalid = decoder->Decode(rows).status();
  EXPECT_EQ(invalid.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(invalid.message()), HasSubstr("token id 97"));
  const std::vector<DecodeRow> long_rows = {{good.get(), fine}, {bad.get(), too_long}};
  const absl::Status out_of_range = decoder->Decode(long_rows).status();
  EXPECT_EQ(out_of_range.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(out_of_range.message()), HasSubstr("161 tokens"));
  EXPECT_EQ(good->num_tokens(), 0);
  EXPECT_EQ(bad->num_tokens(), 0);
}

TEST_P(CpuDecoderTest, NamesTheTensorThatIsMissing) {
  std::map<std::string, HostTensor> tensors = RandomPolicyWeights(GetParam(), 1)->tensors();
  tensors.erase("model.layers.1.mlp.up_proj.weight");
  const auto weights = std::make_shared<const PolicyWeights>(std::move(tensors));
  const absl::Status status = NewCpuDecoder(GetParam(), weights, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.layers.1.mlp.up_proj.weight"));
}

}  // namespace
}  // namespace routewright
