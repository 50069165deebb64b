// A run that never was: steps, trajectories and workers for what shows them. Everything depends on
// the step alone. Texts can be hostile: markup, scripts, control characters, broken UTF-8.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "policy/tokenizer/tokenizer.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "tests/policy/tokenizer/tiny_tokenizer.h"
#include "trainer/experience/trajectory_source.h"
#include "trainer/record/metrics.h"
#include "trainer/record/trajectory_metrics.h"

namespace routewright {

inline constexpr char kHostile[] =
    "</script></pre><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'"
    "</script>&lt;b&gt;{{data}} \x1b[31m \xc2\x9b";

inline RunConfig MadeUpConfig(const std::string& output_dir, int num_models = 4) {
  RunConfig config;
  config.mutable_run()->set_name("made-up");
  config.mutable_run()->set_output_dir(output_dir);
  for (int i = 0; i < num_models; ++i) {
    PoolModelConfig& model = *config.mutable_pool()->add_models();
    model.set_name(i == 3 ? "<i>Sage & Co</i>" : absl::StrCat("Model", i));
    model.set_base_url("http://127.0.0.1/v1");
    model.set_input_price(50'000 * (i + 1));
    model.set_output_price(250'000 * (i + 1));
  }
  config.mutable_trainer()->set_steps(1000);
  config.mutable_trainer()->set_evaluate_every(10);
  return config;
}

inline std::unique_ptr<Tokenizer> MadeUpTokenizer() {
  return *Tokenizer::Parse(TinyTokenizerJson({}).dump(), "made up");
}

inline void AddTokens(const Tokenizer& tokenizer, const std::string& text, Provenance provenance,
                      Trajectory& trajectory) {
  for (const uint32_t id : tokenizer.EncodePlain(text)) {
    const bool is_sampled = provenance == PROVENANCE_POLICY;
    trajectory.add_token_ids(id);
    trajectory.add_provenance(provenance);
    trajectory.add_logprobs(is_sampled ? -0.1f * static_cast<float>(id % 30) : 0.0f);
    trajectory.add_policy_versions(is_sampled ? trajectory.step() + 1 : -1);
  }
}

// One call and an answer: prompt, round 1, observation, round 2. `reply` is what the pool said.
inline Trajectory MadeUpTrajectory(const Tokenizer& tokenizer, const RunConfig& config,
                                   int64_t step, int member, Purpose purpose,
                                   const std::string& reply) {
  Trajectory trajectory;
  trajectory.set_purpose(purpose);
  trajectory.set_step(step);
  trajectory.set_episode_id(purpose == PURPOSE_EVAL
                                ? absl::StrFormat("eval/%06d/%04d", step, member)
                                : absl::StrFormat("train/%06d/0000/%02d", step, member));
  trajectory.set_worker_id("worker-7");
  trajectory.set_status(EPISODE_STATUS_ANSWERED);
  Question& question = *trajectory.mutable_question();
  question.set_question(absl::StrCat("What is the capital of country ", step, "?"));
  question.add_golden_answers("Lima");
  question.set_data_source(member % 2 == 0 ? "capital" : "currency");
  const PoolModelConfig& model =
      config.pool().models(static_cast<int>((step + member) % config.pool().models_size()));
  AddTokens(tokenizer, "Answer the question.\n", PROVENANCE_PROMPT, trajectory);
  Action& search = *trajectory.add_actions();
  search.set_kind(ACTION_KIND_SEARCH);
  search.set_model(model.name());
  search.set_first_token(trajectory.token_ids_size());
  AddTokens(tokenizer, absl::StrCat("<search>", model.name(), ": capital?</search>"),
            PROVENANCE_POLICY, trajectory);
  search.set_end_token(trajectory.token_ids_size());
  AddTokens(tokenizer, absl::StrCat("<information>", reply, "</information>"),
            PROVENANCE_OBSERVATION, trajectory);
  Action& answer = *trajectory.add_actions();
  answer.set_round(1);
  answer.set_kind(ACTION_KIND_ANSWER);
  answer.set_answer(reply);
  answer.set_first_token(trajectory.token_ids_size());
  AddTokens(tokenizer, "<answer>Lïma</answer>", PROVENANCE_POLICY, trajectory);
  answer.set_end_token(trajectory.token_ids_size());
  PoolCall& call = *trajectory.add_pool_calls();
  call.set_model(model.name());
  call.set_outcome(member == 5 ? CALL_OUTCOME_TIMED_OUT : CALL_OUTCOME_OK);
  call.set_error(member == 5 ? reply : "");
  call.set_input_tokens(40);
  call.set_output_tokens(10 + member);
  call.set_cost_picousd((40 * model.input_price() + (10 + member) * model.output_price()));
  call.set_latency_ms(100 + 20 * member);
  call.set_attempts(1);
  RewardComponents& components = *trajectory.mutable_components();
  const bool is_right = std::sin(0.37 * static_cast<double>(step * 8 + member)) <
                        static_cast<double>(step) / 150 - 0.3;
  components.set_em(is_right ? 1 : 0);
  components.set_f1(is_right ? 1 : 0.25);
  components.set_cost_picousd(call.cost_picousd());
  trajectory.set_cost_reward(0.5);
  trajectory.set_reward(is_right ? 0.9 : 0.0);
  return trajectory;
}

inline std::vector<Trajectory> MadeUpTrajectories(const Tokenizer& tokenizer,
                                                  const RunConfig& config, int64_t step,
                                                  const std::string& reply) {
  std::vector<Trajectory> trajectories;
  for (int member = 0; member < 8; ++member) {
    trajectories.push_back(MadeUpTrajectory(tokenizer, config, step, member, PURPOSE_TRAIN, reply));
  }
  for (int i = 0; step % 10 == 0 && i < 16; ++i) {
    trajectories.push_back(MadeUpTrajectory(tokenizer, config, step, i, PURPOSE_EVAL, reply));
  }
  return trajectories;
}

inline Metrics MadeUpMetrics(const RunConfig& config, int64_t step,
                             const std::vector<Trajectory>& trajectories) {
  Metrics metrics = TrajectoryMetrics(config.pool(), trajectories);
  const double t = static_cast<double>(step);
  metrics.Set("policy/loss", 0.3 * std::exp(-t / 80) + 0.02 * std::sin(t));
  metrics.Set("policy/entropy_nats", 1.2 * std::exp(-t / 200));
  metrics.Set("policy/clip_share", 0.02 + 0.01 * std::sin(t / 3));
  metrics.Set("policy/approximate_kl_nats", 0.004 + 0.002 * std::sin(t / 2));
  metrics.Set("policy/gradient_norm", 1.0 + 0.3 * std::cos(t));
  metrics.Set("policy/learning_rate", 1e-6);
  metrics.Set("worker/wait_for_lease_s", 0.4);
  metrics.Set("workers/count", 1000);
  metrics.Set("run/cost_usd", 0.001 * (t + 1));
  metrics.Set("step/tokens", 40'000);
  metrics.Set("trainer/wait_for_batch_s", 2.5 + std::sin(t / 5));
  metrics.Set("step/update_s", 1.5);
  metrics.Set("step/publish_s", 0.2);
  metrics.Set("step/time_s", 4.2 + std::sin(t / 5));
  metrics.Set("step/tokens_per_s", 40'000 / (4.2 + std::sin(t / 5)));
  return metrics;
}

// Four of five are up to date, some lag, some are silent.
inline WorkersView MadeUpWorkers(int count, int64_t newest_version) {
  WorkersView view;
  view.newest_version = newest_version;
  for (int i = 0; i < count; ++i) {
    view.workers.push_back({.id = i == 3 ? kHostile : absl::StrFormat("node%03d-%d", i / 8, i),
                            .code_version = "0.1.0+abc",
                            .silent_s = i % 100 == 99 ? 500.0 + i : 0.1 * (i % 50),
                            .is_live = i % 100 != 99,
                            .policy_version = i % 100 == 98 ? 0 : newest_version - (i % 5 == 4),
                            .trajectories = 10 * i,
                            .pool_failures = i % 7,
                            .active_episodes = i % 64,
                            .waited_s = 1.5 * i});
  }
  return view;
}

}  // namespace routewright
