#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "policy/decoder/decoder.h"
#include "policy/decoder/sampler.h"
#include "policy/tokenizer/tokenizer.h"
#include "rollout_workers/generator/cpu_generator.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using Ids = std::vector<uint32_t>;

// Token n is spelled "<n>"; the vocabulary is smaller than the policy's, as
// padded embeddings make it.
class NumberTokenizer final : public Tokenizer {
 public:
  NumberTokenizer() {
    for (int id = 0; id < 90; ++id) spellings_.push_back(absl::StrCat("<", id, ">"));
  }
  Ids Encode(std::string_view) const override { return {}; }
  Ids EncodePlain(std::string_view) const override { return {}; }
  std::string_view TokenBytes(uint32_t id) const override { return spellings_.at(id); }
  std::string Decode(std::span<const uint32_t>) const override { return ""; }
  std::optional<uint32_t> TokenId(std::string_view) const override { return std::nullopt; }
  bool IsSpecial(uint32_t) const override { return false; }
  size_t vocabulary_size() const override { return spellings_.size(); }

 private:
  std::vector<std::string> spellings_;
};

// A tiny policy that has no end token unless a test names one.
ModelConfig Config(std::vector<uint32_t> end_token_ids = {}) {
  ModelConfig config = TinyLlamaConfig();
  config.end_token_ids = std::move(end_token_ids);
  return config;
}

std::unique_ptr<Generator> MakeGenerator(int chunk_tokens = 512,
                                         const ModelConfig& config = Config(),
                                         int num_threads = 1) {
  static const auto* tokenizer = new NumberTokenizer;
  WorkerConfig worker_config;
  worker_config.set_prefill_chunk_tokens(chunk_tokens);
  worker_config.set_threads(num_threads);
  return NewCpuGenerator(config, RandomPolicyWeights(config, 1), tokenizer, worker_config, 7)
      .value();
}

RoundRequest MakeRequest(const std::string& episode_id, Ids ids, int max_new_tokens = 12,
                         int round = 0) {
  RoundRequest request;
  request.episode_id = episode_id;
  request.round = round;
  request.stream_key = StreamKey(5, episode_id, round);
  request.max_new_tokens = max_new_tokens;
  request.new_token_ids = std::move(ids);
  return request;
}

std::vector<RoundResult> StepOnce(Generator& generator) { return generator.Step().value(); }

// Steps until nothing runs; results by episode.
std::map<std::string, RoundResult> Finish(Generator& generator) {
  std::map<std::string, RoundResult> results;
  while (!generator.is_idle()) {
    for (RoundResult& result : StepOnce(generator)) {
      EXPECT_TRUE(results.emplace(result.episode_id, result).second);
    }
  }
  return results;
}

RoundResult RunOne(Generator& generator, RoundRequest request) {
  const std::string id = request.episode_id;
  EXPECT_TRUE(generator.StartRound(std::move(request)).ok());
  return Finish(generator).at(id);
}

void ExpectSame(const RoundResult& a, const RoundResult& b) {
  EXPECT_EQ(a.token_ids, b.token_ids);
  EXPECT_EQ(a.logprobs, b.logprobs);
  EXPECT_EQ(a.stop_reason, b.stop_reason);
}

// Requests of different lengths, some of which begin alike (a group's common prompt),
// some of which are equal.
std::vector<RoundRequest> MixedRequests() {
  std::vector<RoundRequest> requests;
  for (int i = 0; i < 12; ++i) {
    Ids ids = RandomTokens(Config(), 50, i / 4);
    const Ids own = RandomTokens(Config(), i % 4 == 0 ? 0 : 3 + 5 * (i % 4 / 2), 100 + i / 2);
    ids.insert(ids.end(), own.begin(), own.end());
    requests.push_back(MakeRequest(absl::StrCat("e", i), ids, 5 + i));
    requests.back().temperature = i % 3 == 0 ? 0 : 0.5 * (i % 3);
  }
  requests.push_back(MakeRequest("short", {3}));
  return requests;
}

TEST(BatchedGeneratorTest, DrawsFromTheStreamAndRecordsTheLogprobOfTheDraw) {
  const std::unique_ptr<Generator> generator = MakeGenerator();
  RoundRequest request = MakeRequest("e", RandomTokens(Config(), 9, 1));
  request.temperature = 0.8;
  const Ids prompt = request.new_token_ids;
  const RoundResult result = RunOne(*generator, request);
  ASSERT_EQ(result.token_ids.size(), 12u);
  EXPECT_EQ(result.stop_reason, StopReason::kMaxTokens);
  EXPECT_THAT(result.policy_versions, Each(7));
  const auto decoder = NewCpuDecoder(Config(), RandomPolicyWeights(Config(), 1), 1).value();
  Ids tokens = prompt;
  for (size_t i = 0; i < result.token_ids.size(); ++i) {
    const auto cache = decoder->NewCache();
    const DecodeRow row = {cache.get(), tokens};
    const SampledToken expected =
        SampleToken(decoder->Decode({&row, 1}).value()[0], 0.8, request.stream_key, i);
    EXPECT_EQ(result.token_ids[i], expected.token_id);
    EXPECT_EQ(result.logprobs[i], expected.logprob);
    tokens.push_back(expected.token_id);
  }
}

TEST(BatchedGeneratorTest, EpisodeIsTheSameAloneAndInAnyBatchOrderAndChunkSize) {
  std::map<std::string, RoundResult> alone;
  for (const RoundRequest& request : MixedRequests()) {
    alone[request.episode_id] = RunOne(*MakeGenerator(), request);
  }
  for (int chunk_tokens : {1, 13, 64, 512}) {
    for (bool is_reversed : {false, true}) {
      for (int steps_between : {0, 2}) {
        std::vector<RoundRequest> requests = MixedRequests();
        if (is_reversed) std::reverse(requests.begin(), requests.end());
        const auto generator = MakeGenerator(chunk_tokens, Config(), 1 + chunk_tokens % 2);
        std::map<std::string, RoundResult> together;
        for (const RoundRequest& request : requests) {
          ASSERT_TRUE(generator->StartRound(request).ok());
          for (int i = 0; i < steps_between; ++i) {
            for (const RoundResult& result : StepOnce(*generator))
              together[result.episode_id] = result;
          }
        }
        together.merge(Finish(*generator));
        ASSERT_EQ(together.size(), alone.size());
        for (const auto& [id, result] : together) ExpectSame(result, alone.at(id));
      }
    }
  }
}

TEST(BatchedGeneratorTest, MembersOfAGroupRunTheirPromptOnce) {
  const auto generator = MakeGenerator(/*chunk_tokens=*/16);
  const Ids prompt = RandomTokens(Config(), 96, 1);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(generator->StartRound(MakeRequest(absl::StrCat("e", i), prompt, 10)).ok());
  }
  int steps = 0;
  for (; !generator->is_idle(); ++steps) StepOnce(*generator);
  EXPECT_EQ(steps, 96 / 16 + 10);  // eight prompts of their own would be 48 steps
}

TEST(BatchedGeneratorTest, SecondRoundEqualsAFreshRunOverTheWholeSequence) {
  const std::unique_ptr<Generator> generator = MakeGenerator();
  const Ids prompt = RandomTokens(Config(), 40, 1), observation = RandomTokens(Config(), 9, 2);
  const RoundResult first = RunOne(*generator, MakeRequest("e", prompt));
  const RoundResult second = RunOne(*generator, MakeRequest("e", observation, 12, 1));
  EXPECT_EQ(second.round, 1);
  Ids whole = prompt;
  whole.insert(whole.end(), first.token_ids.begin(), first.token_ids.end());
  whole.insert(whole.end(), observation.begin(), observation.end());
  ExpectSame(second, RunOne(*MakeGenerator(), MakeRequest("e", whole, 12, 1)));
}

TEST(BatchedGeneratorTest, StopsAtTheTokenAfterWhichTheBytesHoldAStopString) {
  const Ids prompt = RandomTokens(Config(), 20, 3);
  const RoundResult free_run = RunOne(*MakeGenerator(), MakeRequest("e", prompt, 30));
  const auto spelled = [&](size_t i) { return absl::StrCat("<", free_run.token_ids.at(i), ">"); };
  ASSERT_LT(free_run.token_ids[4], 90u);
  ASSERT_LT(free_run.token_ids[5], 90u);
  // Whole tokens; from inside token 4 to inside token 5; a part of token 5 alone.
  for (const std::string& stop :
       {spelled(4) + spelled(5), spelled(4).substr(1) + spelled(5).substr(0, 2)}) {
    RoundRequest request = MakeRequest("e", prompt, 30);
    request.stop_strings = {"never", stop};
    const RoundResult result = RunOne(*MakeGenerator(), request);
    EXPECT_EQ(result.stop_reason, StopReason::kStopString);
    EXPECT_EQ(result.token_ids, Ids(free_run.token_ids.begin(), free_run.token_ids.begin() + 6));
  }
}

TEST(BatchedGeneratorTest, StopStringInThePromptOrAcrossRoundsDoesNotStop) {
  const Ids prompt = RandomTokens(Config(), 20, 3);
  const auto generator = MakeGenerator();
  RoundRequest request = MakeRequest("e", prompt, 3);
  request.stop_strings = {absl::StrCat("<", prompt[18], "><", prompt[19], ">"),
                          absl::StrCat(prompt[19], "><")};
  EXPECT_EQ(RunOne(*generator, request).stop_reason, StopReason::kMaxTokens);
}

TEST(BatchedGeneratorTest, EndTokenStopsAndIsRecorded) {
  const Ids prompt = RandomTokens(Config(), 20, 3);
  const RoundResult free_run = RunOne(*MakeGenerator(), MakeRequest("e", prompt, 30));
  const uint32_t end = free_run.token_ids[7];
  const size_t first = std::find(free_run.token_ids.begin(), free_run.token_ids.end(), end) -
                       free_run.token_ids.begin();
  const RoundResult result =
      RunOne(*MakeGenerator(512, Config({96, end})), MakeRequest("e", prompt, 30));
  EXPECT_EQ(result.stop_reason, StopReason::kEndToken);
  EXPECT_EQ(result.token_ids,
            Ids(free_run.token_ids.begin(), free_run.token_ids.begin() + first + 1));
}

TEST(BatchedGeneratorTest, EndEpisodeDropsARunningRoundAndForgetsTheEpisode) {
  const auto generator = MakeGenerator(8);
  const std::vector<RoundRequest> requests = MixedRequests();
  for (const RoundRequest& request : requests) ASSERT_TRUE(generator->StartRound(request).ok());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(StepOnce(*generator).empty());
  generator->EndEpisode("e0");  // its prompt is shared by e1 … e3
  generator->EndEpisode("unknown");
  std::map<std::string, RoundResult> results = Finish(*generator);
  EXPECT_EQ(results.count("e0"), 0u);
  EXPECT_EQ(results.size(), requests.size() - 1);
  ExpectSame(results.at("e1"), RunOne(*MakeGenerator(), requests[1]));
  ExpectSame(RunOne(*generator, requests[0]), RunOne(*MakeGenerator(), requests[0]));
}

TEST(BatchedGeneratorTest, NewWeightsRunTheEpisodesTokensAgain) {
  const auto generator = MakeGenerator();
  const Ids prompt = RandomTokens(Config(), 30, 1), observation = RandomTokens(Config(), 4, 2);
  const RoundResult first = RunOne(*generator, MakeRequest("e", prompt));
  ASSERT_TRUE(generator->SetWeights(RandomPolicyWeights(Config(), 2), 8).ok());
  EXPECT_EQ(generator->policy_version(), 8);
  const RoundResult second = RunOne(*generator, MakeRequest("e", observation, 12, 1));
  EXPECT_THAT(second.policy_versions, Each(8));
  Ids whole = prompt;
  whole.insert(whole.end(), first.token_ids.begin(), first.token_ids.end());
  whole.insert(whole.end(), observation.begin(), observation.end());
  const auto fresh = MakeGenerator();
  ASSERT_TRUE(fresh->SetWeights(RandomPolicyWeights(Config(), 2), 8).ok());
  ExpectSame(second, RunOne(*fresh, MakeRequest("e", whole, 12, 1)));
}

TEST(BatchedGeneratorTest, NewWeightsInMidRoundMarkTheTokensThatTheySampled) {
  const auto generator = MakeGenerator();
  ASSERT_TRUE(generator->StartRound(MakeRequest("e", RandomTokens(Config(), 10, 1), 6)).ok());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(StepOnce(*generator).empty());
  ASSERT_TRUE(generator->SetWeights(RandomPolicyWeights(Config(), 2), 8).ok());
  EXPECT_EQ(Finish(*generator).at("e").policy_versions, (std::vector<int64_t>{7, 7, 8, 8, 8, 8}));
}

TEST(BatchedGeneratorTest, RoundStopsAtThePolicysLastPosition) {
  const auto generator = MakeGenerator();
  const RoundResult result =
      RunOne(*generator, MakeRequest("e", RandomTokens(Config(), 150, 1), 100));
  EXPECT_EQ(result.stop_reason, StopReason::kMaxTokens);
  EXPECT_EQ(result.token_ids.size(), 10u);
  const absl::Status status = generator->StartRound(MakeRequest("e", {1}, 5, 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("160 positions"));
  EXPECT_TRUE(generator->is_idle());
}

TEST(BatchedGeneratorTest, RefusesRoundsWithoutTokensAndUnknownIds) {
  const auto generator = MakeGenerator();
  EXPECT_EQ(generator->StartRound(MakeRequest("e", {})).code(), absl::StatusCode::kInvalidArgument);
  const absl::Status status = generator->StartRound(MakeRequest("e", {1, 97}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("token id 97"));
  EXPECT_TRUE(generator->is_idle());
  EXPECT_TRUE(StepOnce(*generator).empty());
}

TEST(BatchedGeneratorTest, WeightsThatDivergedAreAnErrorThatNamesTheirVersion) {
  auto tensors = RandomPolicyWeights(Config(), 1)->tensors();
  tensors.at("model.norm.weight").values[3] = std::numeric_limits<float>::quiet_NaN();
  const auto generator = MakeGenerator();
  ASSERT_TRUE(
      generator->SetWeights(std::make_shared<const PolicyWeights>(std::move(tensors)), 9).ok());
  ASSERT_TRUE(generator->StartRound(MakeRequest("e", {1, 2})).ok());
  const absl::Status status = generator->Step().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("policy version 9"));
}

TEST(BatchedGeneratorTest, AGuidedRoundGoesOnWithItsTextAsThePolicyWouldSpellIt) {
  auto generator = MakeGenerator();
  RoundRequest request = MakeRequest("e", {1, 2, 3});
  request.guided_text = {.after = ">", .text = "<17><18>"};  // after the first token
  const RoundResult result = RunOne(*generator, request);
  ASSERT_GE(result.token_ids.size(), 4u);
  EXPECT_EQ(result.token_ids[1], 17u);
  EXPECT_EQ(result.token_ids[2], 18u);
  EXPECT_TRUE(result.is_guided);
  // Of the whole distribution: of the one token that was allowed it would be 0.
  EXPECT_LT(result.logprobs[1], -0.5f);
}

TEST(BatchedGeneratorTest, WhatIsGuidedChangesNothingElse) {
  auto generator = MakeGenerator();
  const RoundResult free = RunOne(*generator, MakeRequest("e", {1, 2, 3}));
  generator->EndEpisode("e");
  RoundRequest request = MakeRequest("e", {1, 2, 3});
  request.guided_text = {.after = "nowhere", .text = "<17>"};
  const RoundResult result = RunOne(*generator, request);
  ExpectSame(free, result);
  EXPECT_FALSE(result.is_guided);
}

}  // namespace
}  // namespace routewright
