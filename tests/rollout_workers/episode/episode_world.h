// What an episode needs, for tests: a byte tokenizer (or another one), a small prompt, two models,
// small limits; and what happens in one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rollout_workers/episode/episode.h"
#include "tests/rollout_workers/episode/byte_tokenizer.h"

namespace routewright {

class EpisodeWorld {
 public:
  explicit EpisodeWorld(
      std::unique_ptr<const Tokenizer> its_tokenizer = std::make_unique<ByteTokenizer>())
      : tokenizer_(std::move(its_tokenizer)),
        tokenizer(*tokenizer_),
        pool(MakePool()),
        models(*ModelList::Build(pool)),
        prompt(MakePrompt()) {
    context.tokenizer = &tokenizer;
    context.prompt = &prompt;
    context.models = &models;
    context.limits.set_max_rounds(2);
    context.limits.set_max_prompt_tokens(100);
    context.limits.set_max_sequence_tokens(1000);
    context.limits.set_max_round_tokens(200);
    context.limits.set_max_observation_tokens(60);
  }
  EpisodeWorld(const EpisodeWorld&) = delete;
  EpisodeWorld& operator=(const EpisodeWorld&) = delete;

  // An episode that asks for Peru's capital; the golden answer is Lima.
  static EpisodeSpec Spec(std::string episode_id = "train/000001/0000/00") {
    EpisodeSpec spec;
    spec.set_episode_id(std::move(episode_id));
    spec.set_purpose(PURPOSE_TRAIN);
    spec.set_run_seed(7);
    spec.set_step(1);
    spec.set_temperature(1.0);
    spec.mutable_question()->set_id("q1");
    spec.mutable_question()->set_question("Capital of Peru?");
    spec.mutable_question()->add_golden_answers("Lima");
    spec.mutable_question()->set_data_source("geo");
    return spec;
  }

  // A round in which the policy wrote `text`, as the generator would report it.
  RoundResult Round(int round, const std::string& text,
                    StopReason stop_reason = StopReason::kStopString) const {
    RoundResult result;
    result.episode_id = Spec().episode_id();
    result.round = round;
    result.token_ids = tokenizer.Encode(text);
    for (size_t i = 0; i < result.token_ids.size(); ++i) {
      result.logprobs.push_back(-0.5f - static_cast<float>(i));
      result.policy_versions.push_back(3);
    }
    result.stop_reason = stop_reason;
    result.generate_ms = 10;
    return result;
  }

  // A whole episode in which the policy wrote `rounds`, whatever came back; its calls end as
  // `answer` says. A round that ends with <|end|> stopped there.
  Trajectory Play(const std::vector<std::string>& rounds,
                  const std::function<PoolCall(const PoolRequest&)>& answer) const {
    Episode episode(&context, Spec(), /*attempt=*/1);
    EpisodeCommand command = episode.Begin();
    while (!std::holds_alternative<Trajectory>(command)) {
      if (const auto* call = std::get_if<PoolRequest>(&command)) {
        command = episode.PoolCallFinished(answer(*call));
      } else {
        const int round = std::get<RoundRequest>(command).round;
        const std::string& text = rounds.at(static_cast<size_t>(round));
        command = episode.RoundFinished(
            Round(round, text,
                  text.ends_with("<|end|>") ? StopReason::kEndToken : StopReason::kStopString));
      }
    }
    return std::get<Trajectory>(std::move(command));
  }

 private:
  const std::unique_ptr<const Tokenizer> tokenizer_;

 public:
  const Tokenizer& tokenizer;
  const PoolConfig pool;
  const ModelList models;
  const Prompt prompt;
  EpisodeContext context;

 private:
  static PoolConfig MakePool() {
    PoolConfig pool;
    for (const char* name : {"Atlas", "Sage"}) pool.add_models()->set_name(name);
    return pool;
  }
  Prompt MakePrompt() const {
    return *Prompt::Build(
        {"Q: {question}\n", "{name}", "Briefly: {query}"}, 2, pool,
        [](std::string_view message) { return std::string(message); }, &tokenizer);
  }
};

}  // namespace routewright
