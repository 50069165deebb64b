// The CPU engine behind policy/decoder/decoder.h. All tokens of a call are one [N, C] activation, so
// that every linear layer reads its weights once; attention then looks at each token's own episode.
// Every kernel is row-independent, hence the promise of the header.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "kernels/decode_attention/decode_attention.h"
#include "kernels/parallel_for.h"
#include "kernels/row_ops/row_ops.h"
#include "policy/decoder/decoder.h"
#include "policy/decoder/packed_weights.h"
#include "policy/decoder/paged_kv_cache.h"
#include "policy/model/parameter_layout.h"

namespace routewright {
namespace {

// Logits of a call above which the draws are spread over threads.
constexpr size_t kMinParallelLogits = size_t{1} << 16;

// cos and sin of position × frequency, for as many positions as were asked for.
class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config) : frequencies_(config.RopeFrequencies()) {}

  void Extend(int64_t num_positions) {
    const int64_t half = static_cast<int64_t>(frequencies_.size());
    for (int64_t position = static_cast<int64_t>(cosines_.size()) / half; position < num_positions;
         ++position) {
      for (double frequency : frequencies_) {
        const double angle = static_cast<double>(position) * frequency;
        cosines_.push_back(static_cast<float>(std::cos(angle)));
        sines_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }
  const float* cosines(int64_t position) const { return &cosines_[position * frequencies_.size()]; }
  const float* sines(int64_t position) const { return &sines_[position * frequencies_.size()]; }

 private:
  std::vector<double> frequencies_;
  std::vector<float> cosines_, sines_;  // [positions, D/2]
};

// One token of a call.
struct Token {
  PagedKvCache* cache;
  int64_t position;
  uint32_t id;
  bool wants_logits;
};

class CpuDecoder final : public Decoder {
 public:
  CpuDecoder(const ModelConfig& config, PackedWeights weights, int num_threads)
      : config_(config),
        shape_{config.num_heads, config.num_kv_heads, config.head_width},
        num_threads_(num_threads),
        weights_(std::move(weights)),
        rope_(config) {}

  const ModelConfig& config() const override { return config_; }
  std::unique_ptr<KvCache> NewCache() override {
    return std::make_unique<PagedKvCache>(shape_, config_.num_layers);
  }
  std::unique_ptr<KvCache> ForkCache(const KvCache& cache, int64_t num_tokens) override {
    return std::make_unique<PagedKvCache>(static_cast<const PagedKvCache&>(cache), num_tokens);
  }
  absl::StatusOr<std::vector<std::vector<float>>> Decode(std::span<const DecodeRow> rows) override;
  absl::StatusOr<std::vector<SampledToken>> Sample(std::span<const SampleRow> rows) override;
  absl::Status SetWeights(std::shared_ptr<const PolicyWeights> weights) override {
    RW_RETURN_IF_ERROR(weights->CheckAgainst(ParameterLayout(config_, HeadKind::kLanguageModel)));
    weights_ = {};  // the old ones go first: two packed copies at once would be the worker's peak
    RW_ASSIGN_OR_RETURN(weights_, PackedWeights::Pack(config_, *weights));
    return absl::OkStatus();
  }

 private:
  int64_t query_width() const { return shape_.num_heads * shape_.head_width; }
  int64_t kv_width() const { return shape_.num_kv_heads * shape_.head_width; }
  int64_t qkv_width() const { return query_width() + 2 * kv_width(); }

  // Runs the rows; the logits that they want are in logits_ then, in their order.
  absl::Status Run(std::span<const DecodeRow> rows);
  absl::Status Check(std::span<const DecodeRow> rows) const;
  void TakeTokens(std::span<const DecodeRow> rows);
  void Embed();
  void Attend(int64_t layer);
  void KeepWanted();
  void Mlp(int64_t layer);
  void Linear(const std::vector<float>& x, const PackedMatrix& weight,
              const std::vector<float>& bias, std::vector<float>& y) const;
  void Norm(const std::vector<float>& weight);
  // Each of `num_heads` heads [D] in place.
  void NormHeads(float* heads, int64_t num_heads, const std::vector<float>& weight) const {
    RmsNorm(heads, num_heads, shape_.head_width, weight.data(), config_.norm_epsilon, heads);
  }
  std::vector<std::vector<float>> SplitLogits(std::span<const DecodeRow> rows) const;

  // Constant after construction.
  const ModelConfig config_;
  const AttentionShape shape_;
  const int num_threads_;

  PackedWeights weights_;
  RopeTable rope_;
  // Of the running call, N tokens; kept for their memory.
  std::vector<Token> tokens_;
  std::vector<float> hidden_;     // [N, C] the residual stream
  std::vector<float> normed_;     // [N, C]
  std::vector<float> qkv_;        // [N, (H + 2 num_kv_heads) D]
  std::vector<float> attended_;   // [N, H D]
  std::vector<float> gate_up_;    // [N, 2 intermediate_width]
  std::vector<float> gated_;      // [N, intermediate_width]
  std::vector<float> projected_;  // [N, C]
  std::vector<float> logits_;     // [N, V]
};

absl::Status CpuDecoder::Check(std::span<const DecodeRow> rows) const {
  absl::flat_hash_set<const KvCache*> caches;
  for (const DecodeRow& row : rows) {
    RW_CHECK(row.cache != nullptr && !row.token_ids.empty()) << "a row without cache or tokens";
    RW_CHECK(caches.insert(row.cache).second) << "two rows of a call share a cache";
    const int64_t end = row.cache->num_tokens() + static_cast<int64_t>(row.token_ids.size());
    if (end > config_.max_positions) {
      return absl::OutOfRangeError(absl::StrCat("a sequence of ", end,
                                                " tokens is longer than the policy's ",
                                                config_.max_positions, " positions"));
    }
    for (uint32_t id : row.token_ids) {
      if (id < config_.vocabulary_size) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "token id ", id, " is outside the policy's vocabulary of ", config_.vocabulary_size));
    }
  }
  return absl::OkStatus();
}

void CpuDecoder::TakeTokens(std::span<const DecodeRow> rows) {
  tokens_.clear();
  for (const DecodeRow& row : rows) {
    auto* cache = static_cast<PagedKvCache*>(row.cache);
    const int64_t count = static_cast<int64_t>(row.token_ids.size());
    cache->Reserve(count);
    rope_.Extend(cache->num_tokens() + count);
    for (int64_t i = 0; i < count; ++i) {
      const bool wants_logits = row.wants_logits && (row.wants_all_logits || i + 1 == count);
      tokens_.push_back({cache, cache->num_tokens() + i, row.token_ids[i], wants_logits});
    }
  }
}

void CpuDecoder::Embed() {
  hidden_.resize(tokens_.size() * config_.width);
  for (size_t n = 0; n < tokens_.size(); ++n)
    weights_.Embed(tokens_[n].id, &hidden_[n * config_.width]);
}

void CpuDecoder::Linear(const std::vector<float>& x, const PackedMatrix& weight,
                        const std::vector<float>& bias, std::vector<float>& y) const {
  y.resize(tokens_.size() * weight.num_outputs());
  RowLinear(x.data(), static_cast<int64_t>(tokens_.size()), weight,
            bias.empty() ? nullptr : bias.data(), y.data(), num_threads_);
}

void CpuDecoder::Norm(const std::vector<float>& weight) {
  normed_.resize(hidden_.size());
  RmsNorm(hidden_.data(), static_cast<int64_t>(tokens_.size()), config_.width, weight.data(),
          config_.norm_epsilon, normed_.data());
}

// hidden += attention(norm(hidden)). In the last layer only the tokens whose logits are wanted go
// past the storing of keys and values: nothing else reads the others.
void CpuDecoder::Attend(int64_t layer) {
  const BlockTensors<PackedTensor>& weights = weights_.blocks[layer];
  Norm(weights.input_norm.values);
  Linear(normed_, weights.qkv.matrix, weights.qkv_bias.values, qkv_);
  for (size_t n = 0; n < tokens_.size(); ++n) {
    const Token& token = tokens_[n];
    float* queries = &qkv_[n * qkv_width()];
    float* keys = queries + query_width();
    if (config_.is_qk_normed) {
      NormHeads(queries, shape_.num_heads, weights.query_norm.values);
      NormHeads(keys, shape_.num_kv_heads, weights.key_norm.values);
    }
    RotateHeads(queries, shape_.num_heads + shape_.num_kv_heads, shape_.head_width,
                rope_.cosines(token.position), rope_.sines(token.position));
    token.cache->Store(layer, token.position, keys, keys + kv_width());
  }
  if (layer + 1 == config_.num_layers) KeepWanted();
  if (tokens_.empty()) return;
  attended_.resize(tokens_.size() * query_width());
  std::vector<AttentionRow> rows;
  for (size_t n = 0; n < tokens_.size(); ++n) {
    rows.push_back({&qkv_[n * qkv_width()], &attended_[n * query_width()],
                    tokens_[n].cache->pages(), tokens_[n].position + 1});
  }
  DecodeAttention(shape_, rows, tokens_[0].cache->LayerOffset(layer), num_threads_);
  Linear(attended_, weights.attention_output.matrix, {}, projected_);
  AddInPlace(hidden_.data(), projected_.data(), static_cast<int64_t>(hidden_.size()));
}

// Drops the tokens whose logits nobody wants from tokens, hidden and qkv.
void CpuDecoder::KeepWanted() {
  size_t kept = 0;
  for (size_t n = 0; n < tokens_.size(); ++n) {
    if (!tokens_[n].wants_logits) continue;
    if (kept != n) {
      tokens_[kept] = tokens_[n];
      std::copy_n(&hidden_[n * config_.width], config_.width, &hidden_[kept * config_.width]);
      std::copy_n(&qkv_[n * qkv_width()], qkv_width(), &qkv_[kept * qkv_width()]);
    }
    ++kept;
  }
  tokens_.resize(kept);
  hidden_.resize(kept * config_.width);
}

// hidden += down(silu(gate(norm(hidden))) * up(norm(hidden))).
void CpuDecoder::Mlp(int64_t layer) {
  const BlockTensors<PackedTensor>& weights = weights_.blocks[layer];
  Norm(weights.post_attention_norm.values);
  Linear(normed_, weights.gate_up.matrix, {}, gate_up_);
  gated_.resize(tokens_.size() * config_.intermediate_width);
  SiluMultiply(gate_up_.data(), static_cast<int64_t>(tokens_.size()), config_.intermediate_width,
               gated_.data());
  Linear(gated_, weights.down.matrix, {}, projected_);
  AddInPlace(hidden_.data(), projected_.data(), static_cast<int64_t>(hidden_.size()));
}

std::vector<std::vector<float>> CpuDecoder::SplitLogits(std::span<const DecodeRow> rows) const {
  std::vector<std::vector<float>> split;
  auto next = logits_.begin();
  for (const DecodeRow& row : rows) {
    const int64_t count = !row.wants_logits ? 0 : row.wants_all_logits ? row.token_ids.size() : 1;
    split.emplace_back(next, next + count * config_.vocabulary_size);
    next += count * config_.vocabulary_size;
  }
  return split;
}

absl::Status CpuDecoder::Run(std::span<const DecodeRow> rows) {
  RW_RETURN_IF_ERROR(Check(rows));
  TakeTokens(rows);
  Embed();
  for (int64_t layer = 0; layer < config_.num_layers && !tokens_.empty(); ++layer) {
    Attend(layer);
    Mlp(layer);
  }
  Norm(weights_.final_norm);
  Linear(normed_, weights_.head, {}, logits_);
  for (const DecodeRow& row : rows) {
    static_cast<PagedKvCache*>(row.cache)->Advance(static_cast<int64_t>(row.token_ids.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<float>>> CpuDecoder::Decode(
    std::span<const DecodeRow> rows) {
  RW_RETURN_IF_ERROR(Run(rows));
  return SplitLogits(rows);
}

absl::StatusOr<std::vector<SampledToken>> CpuDecoder::Sample(std::span<const SampleRow> rows) {
  std::vector<DecodeRow> decode_rows;
  std::vector<size_t> drawn;  // the rows with a draw: row i of the logits is drawn[i]'s
  for (const SampleRow& row : rows) {
    if (row.draw.has_value()) drawn.push_back(decode_rows.size());
    decode_rows.push_back(
        {.cache = row.cache, .token_ids = row.token_ids, .wants_logits = row.draw.has_value()});
  }
  RW_RETURN_IF_ERROR(Run(decode_rows));
  std::vector<SampledToken> sampled(rows.size());
  const bool is_large = logits_.size() >= kMinParallelLogits;
  ParallelFor(static_cast<int64_t>(drawn.size()), is_large ? num_threads_ : 1, [&](int64_t i) {
    const std::span<const float> logits =
        std::span(logits_).subspan(i * config_.vocabulary_size, config_.vocabulary_size);
    const TokenDraw& draw = *rows[drawn[i]].draw;
    sampled[drawn[i]] =
        draw.allowed.empty()
            ? SampleToken(logits, draw.temperature, draw.key, draw.counter)
            : SampleTokenAmong(logits, draw.temperature, draw.key, draw.counter, draw.allowed);
  });
  return sampled;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> NewCpuDecoder(const ModelConfig& config,
                                                       std::shared_ptr<const PolicyWeights> weights,
                                                       int num_threads) {
  RW_CHECK(weights != nullptr && num_threads > 0) << "no weights or no threads";
  RW_ASSIGN_OR_RETURN(PackedWeights packed, PackedWeights::Pack(config, *weights));
  return std::make_unique<CpuDecoder>(config, std::move(packed), num_threads);
}

}  // namespace routewright
