// Which keys of a configuration the rest of it makes meaningless. To add one: say here when, and
// why.
#include "absl/strings/str_cat.h"
#include "common/config/algorithm_facts.h"
#include "common/config/run_rules.h"

namespace routewright {
namespace {

void AddKeysOfLoss(const TrainerConfig& trainer, UnusedKeys& unused) {
  const LossConfig& loss = trainer.loss();
  if (FactsOf(trainer).learns_from_demonstrations()) {
    for (const char* key :
         {"clip_low", "clip_high", "entropy_coefficient", "kl_coefficient", "kl_estimator",
          "kl_placement", "kl_target", "kl_horizon", "importance_cap", "surrogate", "ratio",
          "dual_clip", "reference_refresh_steps"}) {
      unused[absl::StrCat("trainer.loss.", key)] =
          absl::StrCat("algorithm: ", AlgorithmName(trainer), " only imitates");
    }
    return;
  }
  if (loss.surrogate() == LossConfig::SURROGATE_CISPO) {
    unused["trainer.loss.clip_low"] = unused["trainer.loss.dual_clip"] =
        "trainer.loss.surrogate: cispo bounds the ratio from above only";
  }
  if (loss.kl_coefficient() == 0) {
    for (const char* key :
         {"loss.kl_estimator", "loss.kl_placement", "loss.kl_target", "loss.kl_horizon",
          "loss.reference_refresh_steps", "routing.kl_weight"}) {
      unused[absl::StrCat("trainer.", key)] = "trainer.loss.kl_coefficient is 0";
    }
  } else if (loss.kl_target() == 0) {
    unused["trainer.loss.kl_horizon"] = "trainer.loss.kl_target is 0";
  }
}

void AddKeysOfReward(const RewardConfig& reward, UnusedKeys& unused) {
  const RewardConfig::CostForm form = reward.cost_form();
  if (form != RewardConfig::COST_FORM_LINEAR) {
    unused["reward.cost_coefficient"] = unused["reward.cost_window"] =
        "reward.cost_form is not linear";
  } else if (reward.latency_weight() == 0) {
    unused["reward.max_cost_penalty"] = "reward.cost_form: linear has a penalty of at most α";
  }
  if (form != RewardConfig::COST_FORM_GATED) {
    unused["reward.usd_weight"] = "reward.cost_form is not gated";
  }
  if (form != RewardConfig::COST_FORM_BUDGET) {
    unused["reward.budget_usd_per_question"] = unused["reward.budget_rate"] =
        "reward.cost_form is not budget";
  }
}

void AddKeysOfAdvantage(const TrainerConfig& trainer, UnusedKeys& unused) {
  const std::string algorithm = absl::StrCat("algorithm: ", AlgorithmName(trainer));
  if (!FactsOf(trainer).scales_groups()) {
    for (const char* key : {"scale", "components_apart", "score_weight", "cost_weight"}) {
      unused[absl::StrCat("trainer.advantage.", key)] =
          absl::StrCat(algorithm, " has its own scale (with this one: ",
                       AlgorithmsWith(&AlgorithmFacts::scales_groups), ")");
    }
  } else if (!trainer.advantage().components_apart()) {
    unused["trainer.advantage.score_weight"] = unused["trainer.advantage.cost_weight"] =
        "trainer.advantage.components_apart is false";
  }
  if (!FactsOf(trainer).needs_groups()) {
    unused["trainer.dynamic_sampling"] =
        absl::StrCat(algorithm, " compares no episodes of a question");
  } else if (trainer.dynamic_sampling().max_extra_share() == 0) {
    unused["trainer.dynamic_sampling.min_difference"] =
        "trainer.dynamic_sampling.max_extra_share is 0";
  }
  if (!FactsOf(trainer).discounts_tokens()) {
    unused["trainer.advantage.gamma"] = absl::StrCat(
        algorithm,
        " does not discount (with it: ", AlgorithmsWith(&AlgorithmFacts::discounts_tokens), ")");
  }
}

void AddKeysOfTrainer(const RunConfig& config, UnusedKeys& unused) {
  const TrainerConfig& trainer = config.trainer();
  AddKeysOfLoss(trainer, unused);
  AddKeysOfAdvantage(trainer, unused);
  const std::string algorithm = absl::StrCat("algorithm: ", AlgorithmName(trainer));
  if (!FactsOf(trainer).needs_critic()) {
    unused["trainer.critic"] = absl::StrCat(algorithm, " has no critic (with one: ",
                                            AlgorithmsWith(&AlgorithmFacts::needs_critic), ")");
  } else if (!trainer.critic().shares_trunk()) {
    unused["trainer.critic.loss_coefficient"] =
        "trainer.critic.shares_trunk is false: the critic has a trunk of its own";
  }
  if (FactsOf(trainer).learns_from_demonstrations()) {
    unused["data.train"] = algorithm + " learns from data.demonstrations";
    unused["data.draw"] = unused["data.source_weights"] = unused["data.train"];
    for (const char* key :
         {"episodes_per_question", "routing", "mask_overlong", "evaluate_every",
          "evaluate_questions", "checkpoint.keep_best", "checkpoint.best_metric"}) {
      unused[absl::StrCat("trainer.", key)] = algorithm + " runs no episodes";
    }
  } else {
    unused["data.demonstrations"] = unused["data.demonstration_min_reward"] =
        absl::StrCat(algorithm, " learns from episodes (from demonstrations: ",
                     AlgorithmsWith(&AlgorithmFacts::learns_from_demonstrations), ")");
  }
  if (config.data().draw() != DataConfig::DRAW_SOURCES) {
    unused["data.source_weights"] = "data.draw is not sources";
  }
  if (trainer.optimizer().schedule() == OptimizerConfig::SCHEDULE_CONSTANT) {
    unused["trainer.optimizer.final_learning_rate_ratio"] =
        "trainer.optimizer.schedule is constant";
  }
  if (trainer.sharding().stage() == ShardingConfig::STAGE_REPLICATED) {
    unused["trainer.sharding.within_host"] = "trainer.sharding.stage is replicated";
  }
  if (trainer.sharding().stage() != ShardingConfig::STAGE_FULL) {
    unused["trainer.sharding.prefetch"] = "only trainer.sharding.stage: full gathers";
  }
  if (config.policy().device() == PolicyConfig::DEVICE_CPU) {
    unused["trainer.sharding.offload"] = "policy.device is cpu, whose memory is the host's";
  }
  if (config.pool().models_size() < 2) {
    unused["trainer.collapse_alarm_nats"] = unused["trainer.lost_model_share"] =
        unused["trainer.routing"] = "pool.models names no two models to choose from";
  }
  if (!trainer.live_page().serve()) {
    for (const char* key : {"listen_address", "token_env", "token_file"}) {
      unused[absl::StrCat("trainer.live_page.", key)] = "trainer.live_page.serve is false";
    }
  }
  if (trainer.evaluate_every() == 0) {
    unused["trainer.evaluate_questions"] = "trainer.evaluate_every is 0";
    unused["trainer.checkpoint.keep_best"] =
        "trainer.evaluate_every is 0: none is known to be best";
  }
  if (trainer.evaluate_every() == 0 || trainer.checkpoint().keep_best() == 0) {
    unused["trainer.checkpoint.best_metric"] = "trainer.checkpoint.keep_best is 0";
  }
}

}  // namespace

UnusedKeys UnusedKeysOf(const RunConfig& config) {
  UnusedKeys unused;
  if (config.has_trainer()) {
    AddKeysOfTrainer(config, unused);
  } else {
    unused["trainer"] = "this run does not train";
  }
  AddKeysOfReward(config.reward(), unused);
  const EpisodeConfig& episode = config.episode();
  if (episode.max_round_tokens() > episode.max_sequence_tokens()) {
    unused["episode.max_round_tokens"] = "episode.max_sequence_tokens is less";
  }
  if (episode.max_observation_tokens() > episode.max_sequence_tokens()) {
    unused["episode.max_observation_tokens"] = "episode.max_sequence_tokens is less";
  }
  if (!HasPrices(config.pool())) {
    unused["run.budget_usd"] = "no model of pool.models has a price";
  }
  if (config.pool().max_retries() == 0) {
    unused["pool.retry_base_s"] = unused["pool.retry_max_s"] = "pool.max_retries is 0";
  }
  for (int i = 0; i < config.pool_emulator().models_size(); ++i) {
    if (config.pool_emulator().models(i).latency_median_ms() > 0) continue;
    unused[absl::StrCat("pool_emulator.models.", i, ".latency_sigma")] =
        "its latency_median_ms is 0";
  }
  return unused;
}

}  // namespace routewright
