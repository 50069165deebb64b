#include "rollout_workers/episode/episode_setup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "policy/formats/policy_folder.h"
#include "policy/tokenizer/chat_template.h"
#include "rollout_workers/generator/cpu_generator.h"
#include "rollout_workers/pool/http_pool_client.h"

namespace routewright {

EpisodeSetup::EpisodeSetup(const RunConfig& config, std::string policy_folder,
                           ModelConfig model_config, ModelList models)
    : worker_config_(config.worker()),
      policy_folder_(std::move(policy_folder)),
      model_config_(std::move(model_config)),
      layout_(model_config_, HeadKind::kLanguageModel),
      models_(std::move(models)) {}

absl::StatusOr<std::unique_ptr<EpisodeSetup>> EpisodeSetup::Load(const RunConfig& config,
                                                                 const std::string& policy_folder) {
  RW_ASSIGN_OR_RETURN(ModelConfig model_config, LoadModelConfig(policy_folder));
  const int64_t max_tokens = config.episode().max_sequence_tokens();
  if (max_tokens > model_config.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat("episode.max_sequence_tokens: ", max_tokens,
                                                   " is more than the ", model_config.max_positions,
                                                   " positions of the policy ", policy_folder,
                                                   " (max_position_embeddings): lower it"));
  }
  RW_ASSIGN_OR_RETURN(ModelList models, ModelList::Build(config.pool()));
  RW_ASSIGN_OR_RETURN(const ChatTemplate chat,
                      ChatTemplate::Load(config.policy().chat_template(), policy_folder));
  RW_ASSIGN_OR_RETURN(const PromptTemplates templates, LoadPromptTemplates(config.prompt()));

  std::unique_ptr<EpisodeSetup> setup(
      new EpisodeSetup(config, policy_folder, std::move(model_config), std::move(models)));
  RW_ASSIGN_OR_RETURN(setup->tokenizer_, Tokenizer::Load(policy_folder));
  RW_ASSIGN_OR_RETURN(setup->prompt_,
                      Prompt::Build(
                          templates, config.episode().max_rounds(), config.pool(),
                          [&chat](std::string_view message) { return chat.Apply(message); },
                          setup->tokenizer_.get()));
  setup->context_.tokenizer = setup->tokenizer_.get();
  setup->context_.prompt = &setup->prompt_;
  setup->context_.models = &setup->models_;
  setup->context_.limits = config.episode();
  return setup;
}

absl::StatusOr<std::unique_ptr<Generator>> EpisodeSetup::MakeGenerator(
    std::shared_ptr<const PolicyWeights> weights, int64_t policy_version) const {
  return NewCpuGenerator(model_config_, std::move(weights), tokenizer_.get(), worker_config_,
                         policy_version);
}

absl::StatusOr<std::unique_ptr<Generator>> EpisodeSetup::MakeGeneratorOfFolder() const {
  RW_ASSIGN_OR_RETURN(auto weights, LoadPolicyWeights(policy_folder_, model_config_));
  return MakeGenerator(std::move(weights), /*policy_version=*/0);
}

absl::StatusOr<std::unique_ptr<PoolClient>> OpenPool(const RunConfig& config,
                                                     const Tokenizer* tokenizer,
                                                     bool keeps_budget) {
  HttpPoolClientOptions options;
  options.ledger_folder = PoolLedgerFolder(config);
  options.seed = config.run().seed();
  options.count_tokens = [tokenizer](std::string_view text) {
    return static_cast<int64_t>(tokenizer->EncodePlain(text).size());
  };
  if (keeps_budget) options.budget = std::make_shared<PoolBudget>(config);
  return MakeHttpPoolClient(config.pool(), std::move(options));
}

}  // namespace routewright
