// Tokens per second of the rollout workers' generator on CPU, draws included, at temperature 1 with
// 160 tokens of context: a 4-layer policy of width 128 (V 1024, 1 M parameters) and one of
// SmolLM2-135M's shape, at several batch sizes; and of prompts. --benchmark_format=json for
// machines. Threads: ROUTEWRIGHT_BENCHMARK_THREADS, default 1.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "policy/decoder/decoder.h"
#include "rollout_workers/generator/cpu_generator.h"
#include "tests/benchmarks/benchmark_models.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

constexpr int64_t kContext = 160;

int NumThreads() {
  const char* threads = std::getenv("ROUTEWRIGHT_BENCHMARK_THREADS");
  return threads == nullptr ? 1 : std::atoi(threads);
}

// Packing only reads the weights, so that both benchmarks of a model share them.
std::shared_ptr<const PolicyWeights> Weights(const ModelConfig& config) {
  static int64_t width = 0;
  static std::shared_ptr<const PolicyWeights> weights;
  if (width != config.width) weights = RandomPolicyWeights(config, 1);
  width = config.width;
  return weights;
}

// One item is a sampled token.
void Generate(benchmark::State& state, const ModelConfig& config) {
  WorkerConfig worker_config;
  worker_config.set_threads(NumThreads());
  const auto generator = NewCpuGenerator(config, Weights(config), nullptr, worker_config).value();
  for (int64_t i = 0; i < state.range(0); ++i) {
    RoundRequest request;
    request.episode_id = absl::StrCat(i);
    request.stream_key = static_cast<uint64_t>(i);
    request.max_new_tokens = static_cast<int>(config.max_positions);
    request.new_token_ids = RandomTokens(config, kContext, i);
    if (!generator->StartRound(std::move(request)).ok()) std::abort();
  }
  for (int64_t i = 0; i < 2 + state.range(0) * kContext / worker_config.prefill_chunk_tokens();
       ++i) {
    if (!generator->Step().ok()) std::abort();
  }
  for (auto _ : state) {
    if (!generator->Step().ok()) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// One item is a prompt's token.
void Prefill(benchmark::State& state, const ModelConfig& config) {
  const auto decoder = NewCpuDecoder(config, Weights(config), NumThreads()).value();
  const std::vector<uint32_t> ids = RandomTokens(config, state.range(0), 1);
  for (auto _ : state) {
    const auto cache = decoder->NewCache();
    const DecodeRow row = {cache.get(), ids};
    if (!decoder->Decode({&row, 1}).ok()) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(Generate, tiny, QuickstartShapedModel())
    ->Arg(1)
    ->Arg(8)
    ->Arg(32)
    ->Arg(64)
    ->Iterations(200)
    ->UseRealTime();
BENCHMARK_CAPTURE(Prefill, tiny, QuickstartShapedModel())->Arg(512)->UseRealTime();
BENCHMARK_CAPTURE(Generate, smollm2, SmolLm2ShapedModel())
    ->Arg(1)
    ->Arg(8)
    ->Arg(32)
    ->Iterations(12)
    ->UseRealTime();
BENCHMARK_CAPTURE(Prefill, smollm2, SmolLm2ShapedModel())->Arg(512)->Iterations(2)->UseRealTime();

}  // namespace
}  // namespace routewright

BENCHMARK_MAIN();
