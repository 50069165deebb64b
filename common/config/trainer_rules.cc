#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/config/algorithm_facts.h"
#include "common/config/run_rules.h"
#include "common/network_address.h"

namespace routewright {
namespace {

class TrainerRules {
 public:
  TrainerRules(const RunConfig& config, std::vector<std::string>& violations)
      : config_(config), trainer_(config.trainer()), violations_(violations) {}

  void CheckAll() {
    CheckSections();
    CheckData();
    CheckReward();
    CheckBatch();
    CheckLoss();
    CheckKl();
    CheckSchedules();
    CheckMachine();
  }

 private:
  // Whether workers run episodes to learn from.
  bool has_episodes() const { return !FactsOf(trainer_).learns_from_demonstrations(); }
  // "algorithm: grpo", as the subject of a sentence.
  std::string algorithm() const { return absl::StrCat("algorithm: ", AlgorithmName(trainer_)); }

  // Reports `what` about `key` unless the claim holds.
  void Require(bool is_met, const char* key, const std::string& what) {
    if (!is_met) violations_.push_back(absl::StrCat(key, ": ", what));
  }

  void CheckSections() {
    Require(config_.has_run(), "run.name", "is required to train, but not set");
    Require(config_.has_policy(), "policy.path", "is required to train, but not set");
    if (!has_episodes()) return;
    Require(config_.has_prompt(), "prompt.template_path",
            "is required to train on episodes, but not set");
    Require(config_.pool().models_size() > 0, "pool.models",
            "names no model: the policy needs at least one to call");
  }

  void CheckData() {
    const DataConfig& data = config_.data();
    if (has_episodes()) {
      Require(data.train_size() > 0, "data.train",
              "names no dataset: there is nothing to learn from");
    } else {
      Require(data.demonstrations_size() > 0, "data.demonstrations",
              absl::StrCat("names no file: ", algorithm(), " needs them"));
    }
    Require(!has_episodes() || trainer_.evaluate_every() == 0 || data.held_out_size() > 0,
            "data.held_out",
            "names no dataset, but trainer.evaluate_every needs one (0 = never evaluate)");
    std::set<std::string> train_paths;
    for (const DatasetConfig& dataset : data.train()) train_paths.insert(dataset.path());
    for (const DatasetConfig& dataset : data.held_out()) {
      Require(!train_paths.contains(dataset.path()), "data.held_out",
              absl::StrCat(dataset.path(),
                           " is in data.train too: held-out questions are never trained on"));
    }
  }

  void CheckBatch() {
    const int64_t questions = trainer_.questions_per_step(),
                  group = trainer_.episodes_per_question();
    Require(
        !FactsOf(trainer_).needs_groups() || group >= 2, "trainer.episodes_per_question",
        absl::StrCat(algorithm(), " compares the episodes of a question: 2 or more, got ", group));
    Require(!has_episodes() || config_.episode().temperature() > 0, "episode.temperature",
            "0 samples greedily, so that there is nothing to learn from: training needs more");
    const double extra = trainer_.dynamic_sampling().max_extra_share();
    Require(extra == 0 || extra * static_cast<double>(questions) >= 1,
            "trainer.dynamic_sampling.max_extra_share",
            absl::StrCat(extra, " of ", questions,
                         " questions is no whole one: groups would be left out and none asked in "
                         "their place"));
    Require(config_.episode().max_rounds() > 0 || trainer_.routing().trial_share() == 0,
            "trainer.routing.trial_share", "episode.max_rounds is 0: there are no calls to try");
    const int64_t batch = has_episodes() ? questions * group : questions;
    Require(
        trainer_.mini_batches() <= batch, "trainer.mini_batches",
        absl::StrCat(trainer_.mini_batches(), " is more than the ", batch, " episodes of a step"));
    const int sequence = config_.episode().max_sequence_tokens();
    Require(trainer_.max_micro_batch_tokens() >= sequence, "trainer.max_micro_batch_tokens",
            absl::StrCat(trainer_.max_micro_batch_tokens(), " cannot hold one whole sequence (",
                         "episode.max_sequence_tokens is ", sequence, ")"));
  }

  void CheckReward() {
    const RewardConfig& reward = config_.reward();
    const bool is_gated = reward.cost_form() == RewardConfig::COST_FORM_GATED;
    const bool is_budget = reward.cost_form() == RewardConfig::COST_FORM_BUDGET;
    Require(!is_gated || reward.usd_weight() > 0, "reward.usd_weight",
            "must be above 0 with reward.cost_form: gated: what share of the score is a dollar?");
    Require(
        (!is_gated && !is_budget) || HasPrices(config_.pool()) || config_.pool().models().empty(),
        "reward.cost_form", "charges dollars, but no model of pool.models has a price");
    const AdvantageConfig& advantage = trainer_.advantage();
    Require(!advantage.components_apart() || advantage.score_weight() + advantage.cost_weight() > 0,
            "trainer.advantage.score_weight", "is 0 as cost_weight is: nothing would be learnt");
    Require(!advantage.components_apart() || reward.cost_form() != RewardConfig::COST_FORM_LINEAR ||
                reward.cost_coefficient() > 0 || reward.latency_weight() > 0,
            "trainer.advantage.components_apart",
            "compares costs, but the reward charges none: reward.cost_coefficient is 0");
    Require(!is_budget || reward.budget_usd_per_question() > 0, "reward.budget_usd_per_question",
            "must be above 0 with reward.cost_form: budget: what may a question cost on average?");
    Require(!is_budget || trainer_.checkpoint().keep_best() == 0 ||
                trainer_.checkpoint().best_metric() != CheckpointConfig::BEST_METRIC_REWARD_MEAN,
            "trainer.checkpoint.best_metric",
            "reward_mean cannot be compared between steps with reward.cost_form: budget, whose "
            "price of a dollar adapts: use em or f1");
    Require(reward.latency_weight() == 0 || !config_.run().deterministic(), "reward.latency_weight",
            "lets clocks into the reward, which run.deterministic forbids");
  }

  void CheckLoss() {
    const LossConfig& loss = trainer_.loss();
    Require(
        loss.dual_clip() == 0 || loss.dual_clip() > 1, "trainer.loss.dual_clip",
        "must be above 1, or 0 for none: below, tokens of bad episodes would lose their gradient");
    Require(
        loss.ratio() != LossConfig::RATIO_SEQUENCES ||
            trainer_.routing().other_tokens_weight() == 1,
        "trainer.routing.other_tokens_weight",
        "must be 1 with trainer.loss.ratio: sequences, which spreads a trajectory's loss evenly "
        "over its tokens");
    Require(loss.ratio() != LossConfig::RATIO_SEQUENCES || FactsOf(trainer_).needs_groups(),
            "trainer.loss.ratio",
            absl::StrCat("sequences spreads a trajectory's loss evenly over its tokens, but ",
                         algorithm(), " judges each token apart (alike are they judged by: ",
                         AlgorithmsWith(&AlgorithmFacts::needs_groups), ")"));
    Require(loss.importance_cap() == 0 || loss.importance_cap() >= 1, "trainer.loss.importance_cap",
            "must be 1 or more, or 0 for none: below 1 it scales all gradients down");
  }

  // Source: the score-function gradient of k1 is that of KL(policy, reference); that of low_var is the difference
  // between it and KL(reference, policy), those of abs and mse grow with |log-ratio| on either side. In the loss,
  // E[∇k1] = E[∇log π] = 0.
  void CheckKl() {
    const LossConfig& loss = trainer_.loss();
    if (loss.kl_coefficient() == 0) return;
    const bool is_k1 = loss.kl_estimator() == LossConfig::KL_ESTIMATOR_K1;
    const bool is_in_reward = loss.kl_placement() == LossConfig::KL_PLACEMENT_REWARD;
    Require(!is_in_reward || is_k1 || loss.kl_estimator() == LossConfig::KL_ESTIMATOR_AUTO,
            "trainer.loss.kl_estimator",
            "with kl_placement: reward only k1 (or auto) draws the policy back to the reference; "
            "the others can push it away");
    Require(is_in_reward || !is_k1, "trainer.loss.kl_estimator",
            "k1 with kl_placement: loss has no gradient on average: use low_var, mse or auto");
  }

  void CheckSchedules() {
    const int steps = trainer_.steps();
    Require(trainer_.critic().warmup_steps() < std::max(1, steps), "trainer.critic.warmup_steps",
            absl::StrCat(trainer_.critic().warmup_steps(),
                         " leaves the policy no step to learn in: trainer.steps is ", steps));
  }

  void CheckMachine() {
    const bool is_cuda = config_.policy().device() == PolicyConfig::DEVICE_CUDA;
    Require(!config_.run().deterministic() || !is_cuda, "run.deterministic",
            "is promised on CPU only: set policy.device: cpu");
    Require(trainer_.communicator().backend() != CommunicatorConfig::BACKEND_NCCL ||
                config_.policy().device() != PolicyConfig::DEVICE_CPU,
            "trainer.communicator.backend", "nccl needs GPUs, but policy.device is cpu");
    RequireAddress(trainer_.rollout_service().listen_address(),
                   "trainer.rollout_service.listen_address");
    if (trainer_.prometheus().has_listen_address()) {
      RequireAddress(trainer_.prometheus().listen_address(), "trainer.prometheus.listen_address");
    }
    if (config_.worker().prometheus().has_listen_address()) {
      RequireAddress(config_.worker().prometheus().listen_address(),
                     "worker.prometheus.listen_address");
    }
    CheckLivePage();
  }

  void CheckLivePage() {
    const LivePageConfig& page = trainer_.live_page();
    if (!page.serve()) return;
    const bool has_token = !page.token_env().empty() || !page.token_file().empty();
    RequireAddress(page.listen_address(), "trainer.live_page.listen_address");
    Require(has_token || IsLoopbackAddress(page.listen_address()),
            "trainer.live_page.listen_address",
            absl::StrCat("'", page.listen_address(),
                         "' can be reached from other hosts: set token_env or token_file beside "
                         "it, or listen on 127.0.0.1 and use an SSH tunnel"));
    Require(page.token_env().empty() || page.token_file().empty(), "trainer.live_page.token_file",
            "token_env is set too: keep one of them");
  }

  void RequireAddress(const std::string& address, const char* key) {
    Require(ParseNetworkAddress(address).has_value(), key,
            absl::StrCat("'", address, "' is not host:port (port 0 picks one)"));
  }

  const RunConfig& config_;
  const TrainerConfig& trainer_;
  std::vector<std::string>& violations_;
};

}  // namespace

void CheckTrainerRules(const RunConfig& config, std::vector<std::string>& violations) {
  TrainerRules(config, violations).CheckAll();
}

}  // namespace routewright
