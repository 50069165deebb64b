#include "launch/plan/run_description.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_loader.h"
#include "common/dataset.h"
#include "common/status_macros.h"
#include "launch/plan/device_speed.h"
#include "launch/plan/matmul_ceiling.h"
#include "launch/plan/memory_fit.h"
#include "launch/plan/memory_plan.h"
#include "launch/plan/step_time.h"
#include "launch/plan/step_time_text.h"
#include "policy/formats/policy_folder.h"
#include "policy/model/parameter_layout.h"
#include "trainer/experience/demonstrations.h"
#include "trainer/experience/question_source.h"

namespace routewright {
namespace {

std::string DescribePolicy(const RunConfig& config, const ModelConfig& model) {
  const TrainerConfig& trainer = config.trainer();
  std::string critic;
  if (FactsOf(trainer).needs_critic()) {
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
                                                   {"checkpoint's copy", plan.checkpoint},
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
  const auto beside = [&](const char* name, int64_t bytes, const char* what) {
    if (bytes > 0) text += absl::StrFormat("#   %-17s %12s  %s\n", name, Size(bytes), what);
  };
  beside("on its host", plan.on_host,
         "offloaded state, and the copy that a checkpoint is written from");
  beside("collectives", plan.communication, "beside it");
  return text;
}

// Its weights packed in f32, and keys and values of the longest episodes, all at once.
std::string DescribeWorker(const RunConfig& config, const ModelConfig& model) {
  if (FactsOf(config.trainer()).learns_from_demonstrations()) return "";
  const int64_t weights = 4 * ParameterLayout(model, HeadKind::kLanguageModel).num_parameters();
  const int64_t token = 2 * 4 * model.num_layers * model.num_kv_heads * model.head_width;
  const int64_t episodes = config.worker().max_episodes();
  const int64_t tokens = config.episode().max_sequence_tokens();
  return absl::StrFormat(
      "# memory of a worker, at most: weights %s, again while new ones arrive; cache %s: %d "
      "episodes "
      "of %d tokens\n",
      Size(weights), Size(episodes * tokens * token), episodes, tokens);
}

// "the cheapest change that fits: --set a=b on 4 ranks".
std::string DescribeChanges(const MemoryAdvice& advice, const PlanInput& input) {
  std::string text = "the cheapest change that fits:";
  for (const std::string& change : advice.changes) text += " --set " + change;
  if (advice.input.ranks > input.ranks) {
    absl::StrAppend(&text, " on ", advice.input.ranks, " ranks");
  }
  return text;
}

std::string DescribeFit(const RunConfig& config, const PlanInput& input, const DeviceMemory& device,
                        const DeviceSpeed& speed) {
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
  const int64_t largest = LargestMicroBatch(input, usable);
  absl::StrAppendFormat(&text, "# it does not fit (%s); %s\n", where,
                        largest > 0 ? absl::StrFormat("at most %d tokens at once would", largest)
                                    : "no micro-batch would");
  const auto advice = CheapestFit(input, usable, config.episode().max_sequence_tokens());
  if (!advice.has_value()) {
    return text + "# nothing that this config can change makes it fit: train a smaller policy\n";
  }
  absl::StrAppend(&text, "# ", DescribeChanges(*advice, input));
  const StepTime time = PlanStepTime(advice->input, config.episode().max_sequence_tokens(), speed);
  absl::StrAppendFormat(&text, ", which takes %s and %s a step, MFU %.1f %%\n",
                        Size(advice->plan.peak()), SecondsText(time.seconds), 100.0 * time.mfu);
  return text;
}

absl::StatusOr<std::string> DescribeData(const RunConfig& config, const ModelConfig& model) {
  if (FactsOf(config.trainer()).learns_from_demonstrations()) {
    RW_ASSIGN_OR_RETURN(const auto demonstrations, Demonstrations::Load(config, model));
    return absl::StrFormat("# data: %d demonstrations\n", demonstrations->size());
  }
  RW_ASSIGN_OR_RETURN(const auto train, LoadDatasets(config.data().train()));
  RW_RETURN_IF_ERROR(CheckSourceWeights(config.data(), train));
  RW_ASSIGN_OR_RETURN(const auto held_out, LoadDatasets(config.data().held_out()));
  return absl::StrFormat("# data: %d questions to learn from, %d held out\n", train.size(),
                         held_out.size());
}

std::string DescribeBatch(const TrainerConfig& config, int num_ranks) {
  const bool is_supervised = FactsOf(config).learns_from_demonstrations();
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

bool ComputesInBf16(const RunConfig& config) {
  return config.policy().compute_type() == PolicyConfig::ELEMENT_TYPE_BF16;
}

std::string PlannedDevice(const RunConfig& config, const PlannedMachine& machine) {
  if (!machine.device.empty()) return machine.device;
  return config.policy().device() == PolicyConfig::DEVICE_CUDA ? "h100" : "cpu";
}

PlanInput MakePlanInput(const RunConfig& config, const PlannedMachine& machine,
                        const DeviceMemory& device, const ModelConfig& model) {
  return {.model = model,
          .config = config.trainer(),
          .bytes_per_element = ComputesInBf16(config) ? 2 : 4,
          .ranks = machine.ranks,
          .ranks_per_host = machine.ranks_per_host,
          .has_gpu = device.is_gpu};
}

struct RankPlan {
  DeviceMemory device;
  PlanInput input;
  MemoryPlan memory;
};

absl::StatusOr<RankPlan> MakeRankPlan(const RunConfig& config, const PlannedMachine& machine) {
  RW_ASSIGN_OR_RETURN(const DeviceMemory device,
                      FindDeviceMemory(PlannedDevice(config, machine), machine.ranks_per_host));
  RW_ASSIGN_OR_RETURN(const ModelConfig model, LoadModelConfig(config.policy().path()));
  const PlanInput input = MakePlanInput(config, machine, device, model);
  return RankPlan{device, input, PlanMemory(input)};
}

// A CPU's ceiling that was not given is measured here and now.
DeviceSpeed MakeSpeed(const RunConfig& config, const PlannedMachine& machine,
                      const PlanInput& input) {
  const bool is_bf16 = ComputesInBf16(config);
  DeviceSpeed speed =
      FindDeviceSpeed(PlannedDevice(config, machine), is_bf16, machine.ceiling_tflops * 1e12);
  if (machine.link_gbytes_per_s > 0.0) {
    speed.bytes_per_s_of_hosts = machine.link_gbytes_per_s * 1e9;
    speed.is_link_given = true;
  }
  if (speed.flop_per_s > 0.0) return speed;
  const auto measure = [&](bool in_bf16) {
    return MeasureMatmulCeiling(input.model, config, in_bf16, input.ranks_per_host);
  };
  speed.peak_flop_per_s = speed.flop_per_s = measure(is_bf16);
  speed.f32_flop_per_s = is_bf16 ? measure(/*in_bf16=*/false) : speed.flop_per_s;
  speed.origin = DeviceSpeed::Origin::kMeasuredNow;
  return speed;
}

}  // namespace

absl::Status CheckPlannedMachine(const RunConfig& config, const PlannedMachine& machine) {
  const std::string name = PlannedDevice(config, machine);
  RW_RETURN_IF_ERROR(FindDeviceMemory(name, machine.ranks_per_host).status());
  const double ceiling = machine.ceiling_tflops * 1e12;
  const DeviceSpeed speed = FindDeviceSpeed(name, ComputesInBf16(config), ceiling);
  if (ceiling <= speed.peak_flop_per_s) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "--ceiling-tflops %g is more than the %s's datasheet has in %s, the policy.compute_type: %g",
      machine.ceiling_tflops, speed.name, ComputesInBf16(config) ? "bf16" : "f32",
      speed.peak_flop_per_s / 1e12));
}

absl::StatusOr<std::string> DescribeMisfit(const RunConfig& config, const PlannedMachine& machine) {
  RW_ASSIGN_OR_RETURN(const RankPlan rank, MakeRankPlan(config, machine));
  const auto& [device, input, plan] = rank;
  if (plan.peak() <= device.usable_bytes()) return std::string();
  std::string text = absl::StrFormat("a rank takes %s of %s (%s)", Size(plan.peak()),
                                     Size(device.usable_bytes()), device.name);
  const auto advice =
      CheapestFit(input, device.usable_bytes(), config.episode().max_sequence_tokens());
  if (!advice.has_value()) return text + "; nothing that the config can change makes it fit";
  return absl::StrCat(text, "; ", DescribeChanges(*advice, input));
}

absl::StatusOr<std::string> DescribeHostMisfit(const RunConfig& config,
                                               const PlannedMachine& machine) {
  RW_ASSIGN_OR_RETURN(const RankPlan rank, MakeRankPlan(config, machine));
  const MemoryPlan& plan = rank.memory;
  if (!rank.device.is_gpu) return std::string();  // its memory is the host's
  RW_ASSIGN_OR_RETURN(const DeviceMemory host, FindDeviceMemory("cpu", machine.ranks_per_host));
  if (plan.on_host <= host.usable_bytes()) return std::string();
  return absl::StrFormat(
      "a rank keeps %s beside its GPU, and each of the %d ranks of a host has %s here",
      Size(plan.on_host), machine.ranks_per_host, Size(host.usable_bytes()));
}

absl::StatusOr<std::string> DescribeRun(const RunConfig& config, const PlannedMachine& machine) {
  RW_RETURN_IF_ERROR(CheckPlannedMachine(config, machine));
  RW_ASSIGN_OR_RETURN(const DeviceMemory device,
                      FindDeviceMemory(PlannedDevice(config, machine), machine.ranks_per_host));
  RW_ASSIGN_OR_RETURN(const ModelConfig model, LoadModelConfig(config.policy().path()));
  RW_ASSIGN_OR_RETURN(const std::string data, DescribeData(config, model));
  const PlanInput input = MakePlanInput(config, machine, device, model);
  const DeviceSpeed speed = MakeSpeed(config, machine, input);
  return absl::StrCat(ConfigToYaml(config), DescribePolicy(config, model), data,
                      DescribeBatch(config.trainer(), machine.ranks),
                      DescribeFit(config, input, device, speed),
                      DescribeStepTime(input, config.episode().max_sequence_tokens(), speed),
                      DescribeWorker(config, model));
}

}  // namespace routewright
