// Rules between fields: each breach is named, and a sound configuration has none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/config/config_loader.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kSound[] = R"(
run: {name: demo}
policy: {path: p}
prompt: {template_path: t}
data: {train: [{path: a}], held_out: [{path: b}]}
pool: {models: [{name: Big, base_url: "http://h/v1", aliases: [large]}, {name: small, base_url: "http://h/v1"}]}
trainer: {algorithm: grpo}
)";

std::string ErrorOf(const std::vector<std::string>& overrides, const char* yaml = kSound) {
  RunConfig config;
  const absl::Status parsed = ParseConfigYaml(yaml, "run.yaml", overrides, config);
  EXPECT_TRUE(parsed.ok()) << parsed;
  return std::string(ValidateRunConfig(config).message());
}

TEST(RunRulesTest, ASoundConfigurationHasNoViolation) {
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(ErrorOf({"trainer.algorithm=ppo", "trainer.critic.gamma=1",
                     "trainer.episodes_per_question=1"}),
            "");
  EXPECT_EQ(ErrorOf({"trainer.loss.kl_coefficient=0.1", "trainer.loss.kl_target=0.01",
                     "trainer.loss.kl_horizon=100", "trainer.loss.kl_estimator=k1",
                     "trainer.loss.kl_placement=reward"}),
            "");
  EXPECT_EQ(ErrorOf({"trainer.algorithm=supervised", "data.train=[]", "data.demonstrations=[d]"}),
            "");
  EXPECT_EQ(ErrorOf({}, "pool_emulator: {facts_path: f}"),
            "");  // sections that are not set are not checked
}

// Score-function gradient of k3 with Bernoulli p = .9 against .5: -2.25, of KL: +2.20.
TEST(RunRulesTest, AKlPenaltyDrawsThePolicyBack) {
  const auto error = [](const char* placement, const char* estimator) {
    return ErrorOf({"trainer.loss.kl_coefficient=0.1",
                    std::string("trainer.loss.kl_placement=") + placement,
                    std::string("trainer.loss.kl_estimator=") + estimator});
  };
  for (const char* estimator : {"low_var", "mse", "abs"}) {
    EXPECT_THAT(error("reward", estimator), HasSubstr("only k1 (or auto)")) << estimator;
    EXPECT_EQ(error("loss", estimator), "") << estimator;
  }
  EXPECT_THAT(error("loss", "k1"), HasSubstr("has no gradient on average"));
  for (const char* placement : {"loss", "reward"}) EXPECT_EQ(error(placement, "auto"), "");
  EXPECT_EQ(error("reward", "k1"), "");
}

TEST(RunRulesTest, ACostFormHasItsKeysAndNoOthers) {
  EXPECT_THAT(ErrorOf({"reward.cost_form=gated"}), HasSubstr("reward.usd_weight"));
  EXPECT_EQ(
      ErrorOf({"reward.cost_form=gated", "reward.usd_weight=100", "pool.models.0.output_price=1"}),
      "");
  EXPECT_THAT(ErrorOf({"reward.cost_form=gated", "reward.usd_weight=100"}),
              HasSubstr("charges dollars, but no model of pool.models has a price"));
  EXPECT_THAT(ErrorOf({"reward.cost_form=budget"}), HasSubstr("reward.budget_usd_per_question"));
  EXPECT_EQ(ErrorOf({"reward.cost_form=budget", "reward.budget_usd_per_question=0.001",
                     "pool.models.0.output_price=1"}),
            "");
  EXPECT_THAT(
      ErrorOf({"reward.cost_form=gated", "reward.usd_weight=1", "reward.cost_coefficient=1"}),
      HasSubstr("reward.cost_coefficient: is set, but not used"));
  EXPECT_THAT(ErrorOf({"reward.usd_weight=100"}), HasSubstr("reward.usd_weight: is set"));
  EXPECT_THAT(ErrorOf({"reward.cost_form=budget", "reward.budget_usd_per_question=0.001",
                       "trainer.evaluate_every=1", "trainer.checkpoint.keep_best=1",
                       "trainer.checkpoint.best_metric=reward_mean"}),
              HasSubstr("cannot be compared between steps"));
  EXPECT_THAT(ErrorOf({"run.deterministic=true", "reward.latency_weight=0.1"}),
              HasSubstr("lets clocks into the reward"));
}

TEST(RunRulesTest, AnAdvantageHasItsAlgorithmsKeysAndNoOthers) {
  EXPECT_EQ(ErrorOf({"trainer.advantage.scale=none", "trainer.advantage.components_apart=true",
                     "trainer.advantage.cost_weight=2", "reward.cost_coefficient=0.1"}),
            "");
  EXPECT_THAT(ErrorOf({"trainer.advantage.cost_weight=2"}), HasSubstr("components_apart is false"));
  EXPECT_THAT(ErrorOf({"trainer.algorithm=rloo", "trainer.advantage.scale=none"}),
              HasSubstr("algorithm: rloo has its own scale (with this one: grpo)"));
  EXPECT_THAT(ErrorOf({"trainer.advantage.gamma=0.9"}), HasSubstr("does not discount"));
  EXPECT_EQ(ErrorOf({"trainer.algorithm=reinforce_plus_plus", "trainer.advantage.gamma=0.9",
                     "trainer.episodes_per_question=1"}),
            "");
  EXPECT_THAT(ErrorOf({"trainer.loss.surrogate=cispo", "trainer.loss.clip_low=0.1"}),
              HasSubstr("bounds the ratio from above only"));
  EXPECT_THAT(ErrorOf({"trainer.routing.trial_share=0.1"},
                      "run: {name: demo}\npolicy: {path: p}\nprompt: {template_path: t}\n"
                      "data: {train: [{path: a}]}\n"
                      "pool: {models: [{name: a, base_url: \"http://h/v1\"}]}\ntrainer: {}\n"),
              HasSubstr("no two models to choose from"));
}

TEST(RunRulesTest, SettingsThatTogetherTeachNothingAreRefused) {
  const std::pair<std::vector<std::string>, const char*> refused[] = {
      {{"trainer.algorithm=ppo", "trainer.loss.ratio=sequences"},
       "algorithm: ppo judges each token apart (alike are they judged by: grpo, rloo"},
      {{"trainer.algorithm=reinforce_plus_plus", "trainer.loss.ratio=sequences"},
       "judges each token apart"},
      {{"trainer.loss.importance_cap=0.1"}, "below 1 it scales all gradients down"},
      {{"trainer.algorithm=ppo", "trainer.critic.warmup_steps=100"},
       "leaves the policy no step to learn in"},
      {{"trainer.advantage.components_apart=true", "trainer.advantage.score_weight=0",
        "trainer.advantage.cost_weight=0", "reward.cost_coefficient=0.1"},
       "nothing would be learnt"},
      {{"trainer.advantage.components_apart=true"}, "reward.cost_coefficient is 0"},
      {{"trainer.dynamic_sampling.max_extra_share=0.05"}, "0.05 of 16 questions is no whole one"},
      {{"episode.max_rounds=0", "trainer.routing.trial_share=0.1"}, "there are no calls to try"},
  };
  for (const auto& [overrides, error] : refused) {
    EXPECT_THAT(ErrorOf(overrides), HasSubstr(error)) << overrides.front();
  }
}

TEST(RunRulesTest, AKeyThatTheSetUpIgnoresMustNotBeSet) {
  EXPECT_EQ(ErrorOf({"trainer.critic.gamma=1"}),
            "trainer.critic: is set, but not used: algorithm: grpo has no critic (with one: ppo): "
            "remove it "
            "(or --set trainer.critic=null)");
  EXPECT_EQ(ErrorOf({"trainer.critic.gamma=1", "trainer.critic=null"}), "");
  EXPECT_EQ(ErrorOf({"pool.max_retries=0", "pool.retry_base_s=1", "pool.retry_base_s=null"}), "");
  const std::pair<const char*, const char*> ignored[] = {
      {"trainer.loss.kl_target=0.1",
       "trainer.loss.kl_target: is set, but not used: trainer.loss.kl_coefficient is 0"},
      {"trainer.loss.kl_estimator=low_var", "trainer.loss.kl_estimator: is set"},
      {"trainer.loss.kl_placement=loss", "trainer.loss.kl_placement: is set"},
      {"trainer.loss.kl_horizon=100", "trainer.loss.kl_horizon: is set"},
      {"data.demonstrations=[x]", "data.demonstrations: is set"},
      {"trainer.optimizer.final_learning_rate_ratio=0.1", "trainer.optimizer.schedule is constant"},
      {"trainer.sharding.within_host=true", "trainer.sharding.stage is replicated"},
      {"trainer.sharding.prefetch=false", "only trainer.sharding.stage: full gathers"},
      {"trainer.evaluate_questions=5", "trainer.evaluate_every is 0"},
      {"episode.max_round_tokens=5000", "episode.max_round_tokens: is set"},
      {"episode.max_observation_tokens=5000", "episode.max_observation_tokens: is set"},
  };
  for (const auto& [override_text, error] : ignored)
    EXPECT_THAT(ErrorOf({override_text}), HasSubstr(error));
  EXPECT_THAT(ErrorOf({"trainer.loss.kl_coefficient=0.1", "trainer.loss.kl_horizon=100"}),
              HasSubstr("trainer.loss.kl_target is 0"));
  EXPECT_THAT(ErrorOf({"run.budget_usd=1"}), HasSubstr("no model of pool.models has a price"));
  EXPECT_EQ(ErrorOf({"run.budget_usd=1", "pool.models.0.output_price=1"}), "");
  EXPECT_THAT(ErrorOf({"pool.max_retries=0", "pool.retry_base_s=1"}),
              HasSubstr("pool.max_retries is 0"));
  EXPECT_THAT(ErrorOf({"pool_emulator.facts_path=f", "pool_emulator.models.0.name=a",
                       "pool_emulator.models.0.latency_sigma=1"}),
              HasSubstr("pool_emulator.models.0.latency_sigma: is set, but not used"));
  EXPECT_THAT(ErrorOf({"trainer.algorithm=supervised", "data.demonstrations=[d]",
                       "trainer.loss.clip_low=0.1", "trainer.episodes_per_question=4",
                       "trainer.evaluate_every=5", "trainer.checkpoint.keep_best=1"}),
              AllOf(HasSubstr("trainer.loss.clip_low: is set"), HasSubstr("data.train: is set"),
                    HasSubstr("trainer.episodes_per_question: is set"),
                    HasSubstr("trainer.evaluate_every: is set"),
                    HasSubstr("trainer.checkpoint.keep_best: is set")));
}

TEST(RunRulesTest, ATrainingRunNeedsItsSections) {
  EXPECT_EQ(ErrorOf({}, "trainer: {}"),
            "5 faults in the configuration:\n"
            "run.name: is required to train, but not set\n"
            "policy.path: is required to train, but not set\n"
            "prompt.template_path: is required to train on episodes, but not set\n"
            "pool.models: names no model: the policy needs at least one to call\n"
            "data.train: names no dataset: there is nothing to learn from");
  EXPECT_THAT(ErrorOf({}, "trainer: {algorithm: supervised}"),
              HasSubstr("data.demonstrations: names no file"));
}

TEST(RunRulesTest, LossesThatWouldLearnSomethingElseAreRefused) {
  EXPECT_THAT(ErrorOf({"trainer.loss.dual_clip=0.2"}),
              HasSubstr("trainer.loss.dual_clip: must be"));
  EXPECT_EQ(ErrorOf({"trainer.loss.dual_clip=0"}), "");
  EXPECT_THAT(ErrorOf({"trainer.loss.ratio=sequences", "trainer.routing.other_tokens_weight=0.1"}),
              HasSubstr("trainer.routing.other_tokens_weight: must be 1"));
  EXPECT_EQ(ErrorOf({"trainer.loss.ratio=sequences"}), "");
}

TEST(RunRulesTest, BatchesAndSchedulesFit) {
  EXPECT_THAT(ErrorOf({"trainer.episodes_per_question=1"}),
              HasSubstr("grpo compares the episodes of a question"));
  EXPECT_THAT(ErrorOf({"trainer.mini_batches=129"}),
              HasSubstr("129 is more than the 128 episodes of a step"));
  EXPECT_THAT(ErrorOf({"trainer.max_micro_batch_tokens=4095"}),
              HasSubstr("cannot hold one whole sequence"));
  EXPECT_EQ(ErrorOf({"trainer.optimizer.warmup_steps=101"}), "");  // a first try of a few steps
  EXPECT_THAT(ErrorOf({"trainer.algorithm=ppo", "trainer.critic.warmup_steps=101"}),
              HasSubstr("trainer.critic.warmup_steps"));
  EXPECT_THAT(ErrorOf({"episode.max_prompt_tokens=4096"}),
              HasSubstr("4096 leaves no room in max_sequence_tokens"));
}

TEST(RunRulesTest, HeldOutQuestionsExistAndAreNotTrainedOn) {
  EXPECT_THAT(ErrorOf({"trainer.evaluate_every=1", "data.held_out=[]"}),
              HasSubstr("data.held_out: names no dataset"));
  EXPECT_THAT(ErrorOf({"data.held_out.0.path=a"}), HasSubstr("a is in data.train too"));
}

TEST(RunRulesTest, EveryPoolNameBelongsToOneModelAndCanBeCalled) {
  EXPECT_THAT(ErrorOf({"pool.models.1.name=BIG"}),
              HasSubstr("pool.models.1.name: 'BIG' is the name at pool.models.0.name too"));
  EXPECT_THAT(ErrorOf({"pool.models.1.aliases=[Large]"}),
              HasSubstr("is the name at pool.models.0.aliases.0 too"));
  EXPECT_THAT(ErrorOf({"pool.models.1.name=a:b"}), HasSubstr("'a:b' cannot be called"));
  EXPECT_THAT(ErrorOf({"pool.models.1.name= a"}), HasSubstr("cannot be called"));
  EXPECT_THAT(ErrorOf({"pool_emulator={facts_path: f, models: [{name: a}, {name: A}]}"}),
              HasSubstr("pool_emulator.models.1.name: 'A' is the name at"));
}

TEST(RunRulesTest, PoolModelsArePricedReachedAndKeyedSoundly) {
  EXPECT_THAT(ErrorOf({"pool.models.0.input_price=5", "pool.models.0.cached_input_price=6"}),
              HasSubstr("pool.models.0.cached_input_price: 6 is more than input_price (5)"));
  EXPECT_EQ(ErrorOf({"pool.models.0.input_price=5", "pool.models.0.cached_input_price=5"}), "");
  EXPECT_THAT(ErrorOf({"pool.models.0.base_url=localhost:80"}),
              HasSubstr("does not begin with http:// or https://"));
  EXPECT_EQ(ErrorOf({"pool.models.0.base_url=${POOL_URL}"}), "");
  EXPECT_THAT(ErrorOf({"pool.models.0.api_key_env=A", "pool.models.0.api_key_file=b"}),
              HasSubstr("api_key_env is set too: keep one"));
  EXPECT_THAT(ErrorOf({"pool.call_timeout_s=1"}),
              HasSubstr("pool.connect_timeout_s: 5 is more than call_timeout_s"));
  EXPECT_THAT(ErrorOf({"pool.total_timeout_s=10"}),
              HasSubstr("pool.call_timeout_s: 60 is more than total_timeout_s"));
  EXPECT_THAT(ErrorOf({"pool.retry_base_s=30"}),
              HasSubstr("pool.retry_base_s: 30 is more than retry_max_s"));
}

TEST(RunRulesTest, TheRunsNameIsAFolderAndTheMachineCanDoIt) {
  EXPECT_THAT(ErrorOf({"run.name=a/b"}), HasSubstr("run.name: 'a/b' is not a folder's name"));
  EXPECT_THAT(ErrorOf({"run.name=.."}), HasSubstr("not a folder's name"));
  EXPECT_THAT(ErrorOf({"run.name=a\nb"}), HasSubstr("run.name: holds a control character"));
  EXPECT_THAT(ErrorOf({"run.output_dir=a\tb"}),
              HasSubstr("run.output_dir: holds a control character"));
  EXPECT_THAT(ErrorOf({"run.deterministic=true", "policy.device=cuda"}),
              HasSubstr("run.deterministic"));
  EXPECT_THAT(ErrorOf({"trainer.communicator.backend=nccl", "policy.device=cpu"}),
              HasSubstr("nccl needs GPUs"));
  for (const char* bad : {"localhost", ":80", "h:", "h:x", "h:65536"}) {
    EXPECT_THAT(ErrorOf({std::string("trainer.rollout_service.listen_address=") + bad}),
                HasSubstr("is not host:port"));
  }
  EXPECT_EQ(ErrorOf({"trainer.rollout_service.listen_address=0.0.0.0:50051"}), "");
  for (const std::string key :
       {"trainer.prometheus.listen_address", "worker.prometheus.listen_address"}) {
    EXPECT_THAT(ErrorOf({key + "=localhost"}), HasSubstr(key));
    EXPECT_EQ(ErrorOf({key + "=127.0.0.1:0"}), "");
  }
}

TEST(RunRulesTest, EveryConfigurationOfTheTreeIsSound) {
  int num_configs = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "kustomization") continue;
    ++num_configs;
    const auto config = LoadRunConfig(entry.path().string(), {});
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(ValidateRunConfig(*config), absl::OkStatus()) << entry.path();
  }
  EXPECT_GT(num_configs, 0);
}

TEST(RunRulesTest, APageThatOthersReachNeedsAToken) {
  for (const char* address : {"0.0.0.0:0", "[::]:8080", "10.1.2.3:80", "node7:80"}) {
    const std::string key = std::string("trainer.live_page.listen_address=") + address;
    EXPECT_THAT(ErrorOf({key}), HasSubstr("can be reached from other hosts: set token_env"));
    EXPECT_EQ(ErrorOf({key, "trainer.live_page.token_env=PAGE_TOKEN"}), "");
    EXPECT_EQ(ErrorOf({key, "trainer.live_page.token_file=token"}), "");
  }
  for (const char* address : {"127.0.0.1:0", "localhost:8080", "[::1]:80"}) {
    EXPECT_EQ(ErrorOf({std::string("trainer.live_page.listen_address=") + address}), "");
  }
  EXPECT_THAT(ErrorOf({"trainer.live_page.listen_address=nowhere"}),
              HasSubstr("trainer.live_page.listen_address: 'nowhere' is not host:port"));
  EXPECT_THAT(ErrorOf({"trainer.live_page.token_env=A", "trainer.live_page.token_file=b"}),
              HasSubstr("token_env is set too: keep one of them"));
  EXPECT_EQ(ErrorOf({"trainer.live_page.serve=false"}), "");
  EXPECT_THAT(ErrorOf({"trainer.live_page.serve=false", "trainer.live_page.token_env=A"}),
              HasSubstr("trainer.live_page.serve is false"));
}

}  // namespace
}  // namespace routewright
