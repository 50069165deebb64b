// The workers' decoder and the trainer's transformer give the same log-probabilities, to f32's
// rounding: what makes the ratio of a fresh policy 1.
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "policy/decoder.h"
#include "policy/sampler.h"
#include "policy/transformer.h"
#include "tests/policy/test_weights.h"
#include "tests/policy/tiny_policy.h"

namespace switchyard {
namespace {

std::vector<float> DecoderLogprobs(const ModelConfig& config, const std::vector<uint32_t>& ids,
                                   double temperature) {
  const auto decoder = NewCpuDecoder(config, RandomPolicyWeights(config, 1), 1).value();
  const auto cache = decoder->NewCache();
  const DecodeRow row = {cache.get(), ids, true};
  const std::vector<float> logits = decoder->Decode({&row, 1}).value()[0];
  std::vector<float> logprobs;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    const auto token_logits =
        std::span(logits).subspan(t * config.vocabulary_size, config.vocabulary_size);
    logprobs.push_back(TokenLogprob(token_logits, temperature, ids[t + 1]));
  }
  return logprobs;
}

// All sequences in one pack.
std::vector<float> TransformerLogprobs(const ModelConfig& config,
                                       const std::vector<std::vector<uint32_t>>& sequences,
                                       double temperature) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kFloat, *RandomPolicyWeights(config, 1));
  Transformer model(config, HeadKind::kLanguageModel, &weights);
  std::vector<int64_t> ids, positions, offsets = {0}, rows, targets;
  for (const std::vector<uint32_t>& sequence : sequences) {
    for (size_t t = 0; t < sequence.size(); ++t) {
      if (t + 1 < sequence.size()) {
        rows.push_back(static_cast<int64_t>(ids.size()));
        targets.push_back(sequence[t + 1]);
      }
      ids.push_back(sequence[t]);
      positions.push_back(static_cast<int64_t>(t));
    }
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  const auto integers = [](const std::vector<int64_t>& values) {
    return at::tensor(values, at::TensorOptions().dtype(at::kLong));
  };
  const auto pass =
      model.Forward({integers(ids), integers(positions), offsets}, /*with_gradient=*/false);
  const at::Tensor scores =
      pass->ScoreTokens(integers(rows), integers(targets), temperature).logprobs;
  return std::vector<float>(scores.data_ptr<float>(), scores.data_ptr<float>() + scores.numel());
}

TEST(DecoderTransformerTest, LogprobsAgreeForBothFamilies) {
  for (const ModelConfig& config : {TinyLlamaConfig(), TinyQwenConfig()}) {
    for (double temperature : {1.0, 0.7}) {
      std::vector<std::vector<uint32_t>> sequences;
      std::vector<float> expected;
      for (int64_t length : {2, 33, 150, 71}) {
        sequences.push_back(RandomTokens(config, length, length));
        const std::vector<float> logprobs = DecoderLogprobs(config, sequences.back(), temperature);
        expected.insert(expected.end(), logprobs.begin(), logprobs.end());
      }
      const std::vector<float> actual = TransformerLogprobs(config, sequences, temperature);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], 1e-5) << "token " << i;
    }
  }
}

}  // namespace
}  // namespace switchyard
