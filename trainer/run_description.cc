#include "trainer/run_description.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config_loader.h"
#include "common/dataset.h"
#include "common/status_macros.h"
#include "policy/parameter_layout.h"
#include "policy/policy_folder.h"
#include "trainer/demonstrations.h"
#include "trainer/memory_fit.h"
#include "trainer/memory_plan.h"

namespace switchyard {
namespace {

std::string DescribePolicy(const RunConfig& config, const ModelConfig& model) {
  const TrainerConfig& trainer = config.trainer();
  std::string critic;
  if (trainer.algorithm() == TrainerConfig::ALGORITHM_PPO) {
    critic = trainer.critic().shares_trunk() ? ", and a value head on the same trunk"
                                             : ", and a critic of the same size";
  }
  return absl::StrFormat("# policy: %s, %d layers, width %d, vocabulary %d: %d parameters%s\n",
                         ArchitectureName(model.architecture), model.num_layers, model.width,
                         model.vocabulary_size,
                         ParameterLayout(model, HeadKind::kLanguageModel).num_parameters(), critic);
}

std::string Size(int64_t bytes) {
  const double mib = static_cast<double>(bytes) / 1048576.0;
  return mib < 1024.0 ? absl::StrFormat("%.1f MiB", mib)
                      : absl::StrFormat("%.2f GiB", mib / 1024.0);
}

std::string DescribeMemory(const MemoryPlan& plan, const PlanInput& input) {
  const std::pair<const char*, int64_t> kinds[] = {{"weights", plan.weights},
                                                   {"gradients", plan.gradients},
                                                   {"optimizer", plan.optimizer},
                                                   {"reference policy", plan.reference},
                                                   {"activations", plan.activations},
                                                   {"gathered blocks", plan.gathered_blocks},
                                                   {"gradient buffers", plan.gradient_buffers}};
  std::string text = absl::StrFormat(
      "# memory of a rank, at most, with %d tokens at once%s:\n",
      input.config.max_micro_batch_tokens(),
      input.config.recompute_activations() ? " and activations computed again" : "");
  for (const auto& [name, bytes] : kinds) {
    if (bytes > 0) text += absl::StrFormat("#   %-17s %12s\n", name, Size(bytes));
  }
  text += absl::StrFormat("#   %-17s %12s\n", "together", Size(plan.peak()));
  const int64_t beside = plan.on_host + plan.communication;
  if (beside > 0) text += absl::StrFormat("#   %-17s %12s\n", "beside, on host", Size(beside));
  return text;
}

absl::StatusOr<std::string> DescribeFit(const RunConfig& config, const PlanInput& input,
                                        const DeviceMemory& device) {
  const MemoryPlan plan = PlanMemory(input);
  const int64_t usable = device.usable_bytes();
  std::string text = DescribeMemory(plan, input);
  const std::string where = absl::StrFormat(
      "%s: %s, of which %s is left for context, libraries "
      "and fragments",
      device.name, Size(device.capacity_bytes), Size(device.reserved_bytes));
  if (plan.peak() <= usable) {
    absl::StrAppendFormat(&text, "# it fits (%s); at most %d tokens at once would\n", where,
                          LargestMicroBatch(input, usable));
    return text;
  }
  absl::StrAppendFormat(&text, "# it does not fit (%s)\n", where);
  const auto advice = CheapestFit(input, usable, config.episode().max_sequence_tokens());
  if (!advice.has_value()) {
    return text + "# nothing that this config can change makes it fit: train a smaller policy\n";
  }
  absl::StrAppendFormat(&text, "# the cheapest change that fits:");
  for (const std::string& change : advice->changes) text += " --set " + change;
  if (advice->ranks > input.ranks) absl::StrAppend(&text, " on ", advice->ranks, " ranks");
  absl::StrAppendFormat(&text, ", which takes %s\n", Size(advice->plan.peak()));
  return text;
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

absl::StatusOr<std::string> DescribeRun(const RunConfig& config, const PlannedMachine& machine) {
  const bool is_on_gpu = config.policy().device() == PolicyConfig::DEVICE_CUDA;
  SY_ASSIGN_OR_RETURN(const DeviceMemory device,
                      FindDeviceMemory(!machine.device.empty() ? machine.device
                                       : is_on_gpu             ? "h100"
                                                               : "cpu",
                                       machine.ranks_per_host));
  SY_ASSIGN_OR_RETURN(const ModelConfig model, LoadModelConfig(config.policy().path()));
  SY_ASSIGN_OR_RETURN(const std::string data, DescribeData(config, model));
  const PlanInput input{
      .model = model,
      .config = config.trainer(),
      .bytes_per_element =
          config.policy().compute_type() == PolicyConfig::ELEMENT_TYPE_BF16 ? 2 : 4,
      .ranks = machine.ranks,
      .ranks_per_host = machine.ranks_per_host,
      .has_gpu = device.is_gpu};
  SY_ASSIGN_OR_RETURN(const std::string fit, DescribeFit(config, input, device));
  return absl::StrCat(ConfigToYaml(config), DescribePolicy(config, model), data,
                      DescribeBatch(config.trainer(), machine.ranks), fit);
}

}  // namespace switchyard
