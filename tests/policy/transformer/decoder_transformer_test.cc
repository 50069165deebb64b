// The workers' decoder and the trainer's transformer give the same log-probabilities, to f32's
// rounding: what makes the ratio of a fresh policy 1.
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "policy/decoder/decoder.h"
#include "policy/decoder/sampler.h"
#include "policy/formats/policy_folder.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/transformer/transformer.h"
#include "tests/policy/model/tiny_policy.h"
#include "tests/policy/transformer/test_weights.h"

namespace routewright {
namespace {

using Weights = std::shared_ptr<const PolicyWeights>;

std::vector<float> DecoderLogprobs(const ModelConfig& config, const Weights& weights,
                                   const std::vector<uint32_t>& ids, double temperature) {
  const auto decoder = NewCpuDecoder(config, weights, 1).value();
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
std::vector<float> TransformerLogprobs(const ModelConfig& config, const Weights& initial,
                                       const std::vector<std::vector<uint32_t>>& sequences,
                                       double temperature) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  ReplicatedTestWeights weights(layout, at::kFloat, *initial);
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

// An episode, piece by piece: given, then what the policy writes, and so on.
constexpr const char* kEpisode[] = {
    "Question: Which currency is used in the country whose capital is Lima?\n",
    "<think> I need a country.</think><search> Atlas: Which country has the capital Lima?</search>",
    "\n\n<information>The country with the capital Lima is Peru.</information>\n\n",
    "<think> I need a currency.</think><search> Ledger: What is the currency of Peru?</search>",
    "\n\n<information>The currency of Peru is Sol.</information>\n\n",
    "<think> I know it.</think><answer> Sol</answer>"};

// The largest difference over the tokens that the policy writes.
double LargestGapInTheEpisode(const std::string& folder) {
  const ModelConfig config = LoadModelConfig(folder).value();
  const Weights weights = LoadPolicyWeights(folder, config).value();
  const auto tokenizer = Tokenizer::Load(folder).value();
  std::vector<uint32_t> ids;
  std::vector<bool> is_sampled;
  for (size_t i = 0; i < std::size(kEpisode); ++i) {
    for (uint32_t id : tokenizer->Encode(kEpisode[i])) {
      ids.push_back(id);
      is_sampled.push_back(i % 2 == 1);
    }
  }
  const std::vector<float> expected = DecoderLogprobs(config, weights, ids, 1.0);
  const std::vector<float> actual = TransformerLogprobs(config, weights, {ids}, 1.0);
  double largest = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    const double gap = std::abs(static_cast<double>(actual[t]) - expected[t]);
    if (is_sampled[t + 1]) largest = std::max(largest, gap);
  }
  std::printf("%s: %zu tokens, largest difference %.2g\n", folder.c_str(), ids.size(), largest);
  return largest;
}

// Another policy's folder can be named, such as SmolLM2's, which is too large for the tree.
TEST(DecoderTransformerTest, LogprobsOfAnEpisodeAgreeForTheQuickstartsPolicyAndTheOneThatIsNamed) {
  EXPECT_LE(LargestGapInTheEpisode("data/quickstart/policy"), 1e-5);
  if (const char* folder = std::getenv("ROUTEWRIGHT_TEST_POLICY")) {
    EXPECT_LE(LargestGapInTheEpisode(folder), 1e-4);
  }
}

TEST(DecoderTransformerTest, LogprobsAgreeForEveryFamily) {
  for (const ModelConfig& config : TinyConfigs()) {
    const Weights weights = RandomPolicyWeights(config, 1);
    for (double temperature : {1.0, 0.7}) {
      std::vector<std::vector<uint32_t>> sequences;
      std::vector<float> expected;
      for (int64_t length : {2, 33, 150, 71}) {
        sequences.push_back(RandomTokens(config, length, length));
        const std::vector<float> logprobs =
            DecoderLogprobs(config, weights, sequences.back(), temperature);
        expected.insert(expected.end(), logprobs.begin(), logprobs.end());
      }
      const std::vector<float> actual =
          TransformerLogprobs(config, weights, sequences, temperature);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], 1e-5) << "token " << i;
    }
  }
}

}  // namespace
}  // namespace routewright
