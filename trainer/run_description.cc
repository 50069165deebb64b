#include "trainer/run_description.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config_loader.h"
#include "common/dataset.h"
#include "common/status_macros.h"
#include "policy/parameter_layout.h"
#include "policy/policy_folder.h"
#include "trainer/demonstrations.h"

namespace switchyard {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

std::string DescribePolicy(const RunConfig& config, const ModelConfig& model) {
  const int64_t policy = ParameterLayout(model, HeadKind::kLanguageModel).num_parameters();
  const TrainerConfig& trainer = config.trainer();
  const bool has_critic = trainer.algorithm() == TrainerConfig::ALGORITHM_PPO;
  const int64_t learning =
      policy + (has_critic ? ParameterLayout(model, HeadKind::kValue).num_parameters() : 0);
  // Weights, gradients and two moments in f32; the reference policy has weights only.
  const bool has_reference = trainer.loss().kl_coefficient() > 0.0;
  const double bytes = 16.0 * static_cast<double>(learning) +
                       (has_reference ? 4.0 * static_cast<double>(policy) : 0.0);
  return absl::StrFormat(
      "# policy: %s, %d layers, width %d, vocabulary %d: %d parameters%s%s\n"
      "# memory: %.1f MiB per rank for weights, gradients and optimizer, beside activations\n",
      ArchitectureName(model.architecture), model.num_layers, model.width, model.vocabulary_size,
      policy, has_critic ? ", and a critic of the same size" : "",
      has_reference ? ", and a reference policy" : "", bytes / kMiB);
}

absl::StatusOr<std::string> DescribeData(const RunConfig& config, const ModelConfig& model) {
  if (config.trainer().algorithm() == TrainerConfig::ALGORITHM_SUPERVISED) {
    const std::vector<std::string> paths(config.data().demonstrations().begin(),
                                         config.data().demonstrations().end());
    SY_ASSIGN_OR_RETURN(const auto demonstrations,
                        Demonstrations::Load(paths, model.vocabulary_size, config.run().seed()));
    return absl::StrFormat("# data: %d demonstrations\n", demonstrations->size());
  }
  SY_ASSIGN_OR_RETURN(const auto train, LoadDatasets(config.data().train()));
  SY_ASSIGN_OR_RETURN(const auto held_out, LoadDatasets(config.data().held_out()));
  return absl::StrFormat("# data: %d questions to learn from, %d held out\n", train.size(),
                         held_out.size());
}

std::string DescribeBatch(const TrainerConfig& config, int num_ranks) {
  const bool is_supervised = config.algorithm() == TrainerConfig::ALGORITHM_SUPERVISED;
  const int group = is_supervised ? 1 : config.episodes_per_question();
  const std::string batch =
      is_supervised
          ? absl::StrFormat("%d demonstrations", config.questions_per_step())
          : absl::StrFormat("%d questions x %d episodes = %d episodes", config.questions_per_step(),
                            group, config.questions_per_step() * group);
  return absl::StrFormat(
      "# run: %d steps of %s, %d optimizer step%s each, on %d rank%s, at most %d tokens at once\n",
      config.steps(), batch, config.mini_batches(), config.mini_batches() == 1 ? "" : "s",
      num_ranks, num_ranks == 1 ? "" : "s", config.max_micro_batch_tokens());
}

}  // namespace

absl::StatusOr<std::string> DescribeRun(const RunConfig& config, int num_ranks) {
  SY_ASSIGN_OR_RETURN(const ModelConfig model, LoadModelConfig(config.policy().path()));
  SY_ASSIGN_OR_RETURN(const std::string data, DescribeData(config, model));
  return absl::StrCat(ConfigToYaml(config), DescribePolicy(config, model), data,
                      DescribeBatch(config.trainer(), num_ranks));
}

}  // namespace switchyard
