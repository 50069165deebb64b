// Tokens per second of the trainer's forward and backward on CPU: a 4-layer policy of width 128 (V
// 1024, 1 M parameters) over 8192 packed tokens. Run with OMP_NUM_THREADS=1 for one thread.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include "policy/transformer/transformer.h"
#include "tests/benchmarks/benchmark_models.h"
#include "tests/policy/transformer/test_weights.h"

namespace routewright {
namespace {

constexpr int64_t kTokens = 8192;

// Sequences of 96…223 tokens, as episodes have.
PackedTokens MakePack(int64_t vocabulary_size) {
  std::vector<int64_t> ids, positions, offsets = {0};
  while (offsets.back() < kTokens) {
    const int64_t length =
        std::min<int64_t>(96 + RandomBits(1, offsets.size()) % 128, kTokens - offsets.back());
    for (int64_t t = 0; t < length; ++t) {
      positions.push_back(t);
      ids.push_back(static_cast<int64_t>(RandomBits(2, ids.size()) % vocabulary_size));
    }
    offsets.push_back(offsets.back() + length);
  }
  const auto options = at::TensorOptions().dtype(at::kLong);
  return {at::tensor(ids, options), at::tensor(positions, options), offsets};
}

void RunPass(benchmark::State& state, bool with_gradient) {
  const ModelConfig config = QuickstartShapedModel();
  ReplicatedTestWeights weights(ParameterLayout(config, HeadKind::kLanguageModel), at::kFloat,
                                /*seed=*/1, 0.02);
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  const PackedTokens pack = MakePack(config.vocabulary_size);
  const at::Tensor rows = at::arange(kTokens - 1, at::TensorOptions().dtype(at::kLong));
  const at::Tensor targets = pack.token_ids.narrow(0, 1, kTokens - 1);
  const at::Tensor ones = at::ones({kTokens - 1});
  for (auto _ : state) {
    const auto pass = model.Forward(pack, with_gradient);
    const TokenScores scores = pass->ScoreTokens(rows, targets, 1.0);
    benchmark::DoNotOptimize(scores.logprobs.data_ptr());
    if (with_gradient) pass->BackwardScores(ones, ones);
    weights.ClearReady();
  }
  state.SetItemsProcessed(state.iterations() * kTokens);
}

void BM_Forward(benchmark::State& state) { RunPass(state, false); }
void BM_ForwardAndBackward(benchmark::State& state) { RunPass(state, true); }
BENCHMARK(BM_Forward)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ForwardAndBackward)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace routewright

BENCHMARK_MAIN();
