#include "trainer/loop/learner.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/config/algorithm_facts.h"
#include "common/config/config_changes.h"
#include "common/config/config_loader.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "policy/formats/policy_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/comm/agreement.h"
#include "trainer/loop/leader.h"
#include "trainer/loop/resume.h"
#include "trainer/loop/state_saver.h"
#include "trainer/loop/step_message.h"
#include "trainer/loop/trace_gathering.h"
#include "trainer/record/prometheus_metrics.h"
#include "trainer/record/run_folder.h"
#include "trainer/sharding/rank_groups.h"
#include "trainer/update/device.h"
#include "trainer/update/policy_update.h"

namespace routewright {
namespace {

// Rank 0 reads the policy's shape; the others get it from there.
absl::StatusOr<ModelConfig> ShareModelConfig(const LearnerParts& parts) {
  ModelConfig config;
  std::string json;
  absl::Status status;
  if (parts.communicator->rank() == 0) {
    auto loaded = LoadModelConfig(parts.config->policy().path());
    status = loaded.status();
    if (loaded.ok()) json = ModelConfigToJson(config = *std::move(loaded), "float32");
  }
  RW_RETURN_IF_ERROR(AgreeOnStatus(*parts.communicator, "model_config_status", status));
  RW_RETURN_IF_ERROR(BroadcastString(*parts.communicator, "model_config", json, /*root=*/0));
  if (parts.communicator->rank() == 0) return config;
  return ParseModelConfig(json, "rank 0's config.json");
}

UpdateOptions MakeUpdateOptions(const LearnerParts& parts, const ModelConfig& model,
                                const RankGroups& groups) {
  UpdateOptions options;
  options.config = parts.config->trainer();
  options.model = model;
  const bool is_supervised = FactsOf(parts.config->trainer()).learns_from_demonstrations();
  options.temperature = is_supervised ? 1.0 : parts.config->episode().temperature();
  options.device = ChooseDevice(parts.is_on_gpu, parts.communicator->local_rank());
  options.compute_type = parts.config->policy().compute_type() == PolicyConfig::ELEMENT_TYPE_BF16
                             ? at::kBFloat16
                             : at::kFloat;
  options.seed = parts.config->run().seed();
  options.groups = &groups;
  return options;
}

// Intended, or the cause of what puzzles somebody later: a resumed run says it either way.
void LogOtherSettings(FileSystem& files, const CheckpointReader& checkpoint,
                      const RunConfig& config) {
  absl::StatusOr<std::vector<std::string>> changes;
  auto yaml = files.Read(checkpoint.folder() + "/config.resolved.yaml");
  changes = yaml.ok() ? ConfigChanges(*yaml, config) : yaml.status();
  if (!changes.ok()) {
    LogWarning("whether settings differ from the checkpoint's is not known: ",
               changes.status().message());
  } else if (!changes->empty()) {
    LogInfo("step=", checkpoint.manifest().step(),
            " | settings that differ from the checkpoint's: ", absl::StrJoin(*changes, "; "));
  }
}

// Rank 0 reads the policy to start from, a block at a time; of a checkpoint every rank reads its
// share. nullptr: there is none to go on from.
absl::StatusOr<std::unique_ptr<CheckpointReader>> LoadModels(const LearnerParts& parts,
                                                             const ModelConfig& model,
                                                             PolicyUpdate& update) {
  {
    TensorSource initial;
    absl::Status status;
    if (parts.communicator->rank() == 0) {
      auto tensors = OpenPolicyTensors(parts.config->policy().path(), model);
      status = tensors.status();
      if (tensors.ok()) initial = *std::move(tensors);
    }
    RW_RETURN_IF_ERROR(AgreeOnStatus(*parts.communicator, "initial_policy", status));
    RW_RETURN_IF_ERROR(update.Initialize(initial ? &initial : nullptr));
  }
  RW_ASSIGN_OR_RETURN(auto checkpoint,
                      OpenCheckpoint(*parts.files, *parts.communicator, *parts.config,
                                     {parts.resume, parts.submission}));
  if (checkpoint == nullptr) return checkpoint;
  RW_RETURN_IF_ERROR(update.Restore(*checkpoint));
  if (parts.communicator->rank() == 0) {
    LogInfo("step=", checkpoint->manifest().step(), " checkpoint=", checkpoint->folder(),
            " | resumed");
    LogOtherSettings(*parts.files, *checkpoint, *parts.config);
  }
  return checkpoint;
}

absl::Status MakeUpdate(const LearnerParts& parts, PolicyUpdate& update,
                        const StepMessage& message) {
  const absl::Time start = absl::Now();
  RW_RETURN_IF_ERROR(update.Run(message.batch, message.step, message.kl_coefficient).status());
  if (parts.exporter != nullptr) {
    ShowUpdate(message.step + 1, absl::ToDoubleSeconds(absl::Now() - start), *parts.exporter);
  }
  return absl::OkStatus();
}

// Does what rank 0 says until the run is over.
absl::StatusOr<RunOutcome> FollowLeader(const LearnerParts& parts, PolicyUpdate& update,
                                        StateSaver& saver) {
  while (true) {
    std::string bytes;
    RW_RETURN_IF_ERROR(BroadcastString(*parts.communicator, "step_message", bytes, /*root=*/0));
    RW_ASSIGN_OR_RETURN(const StepMessage message, ParseStepMessage(bytes));
    switch (message.kind) {
      case StepMessage::Kind::kWait:
        break;
      case StepMessage::Kind::kUpdate:
        if (message.is_traced) BeginTrace();
        RW_RETURN_IF_ERROR(MakeUpdate(parts, update, message));
        parts.communicator->BeginStep(message.step + 1);
        break;
      case StepMessage::Kind::kExport:
        RW_RETURN_IF_ERROR(update.ExportPolicy().status());
        break;
      case StepMessage::Kind::kSave:
        RW_RETURN_IF_ERROR(saver.Start(message.step, std::nullopt));
        break;
      case StepMessage::Kind::kCheckSave:
        RW_RETURN_IF_ERROR(saver.Check());
        break;
      case StepMessage::Kind::kTrace:
        RW_RETURN_IF_ERROR(GatherTraces(*parts.communicator).status());
        break;
      case StepMessage::Kind::kStop:
        return message.is_preempted ? RunOutcome::kPreempted : RunOutcome::kFinished;
    }
  }
}

// What a library throws becomes a status.
absl::StatusOr<RunOutcome> WithoutExceptions(
    const LearnerParts& parts, const std::function<absl::StatusOr<RunOutcome>()>& run) {
  try {
    return run();
  } catch (const std::exception& error) {  // LibTorch's
    return absl::InternalError(
        absl::StrCat("rank ", parts.communicator->rank(), " failed in a library: ", error.what()));
  }
}

absl::StatusOr<RunOutcome> LeadOrFollow(const LearnerParts& parts, const ModelConfig& model,
                                        PolicyUpdate& update) {
  StateSaver saver(parts, model, &update);
  std::optional<Leader> leader;
  if (parts.communicator->rank() == 0) leader.emplace(parts, model, &update, &saver);
  const auto run = [&]() -> absl::StatusOr<RunOutcome> {
    RW_ASSIGN_OR_RETURN(auto checkpoint, LoadModels(parts, model, update));
    parts.communicator->BeginStep(checkpoint != nullptr ? checkpoint->manifest().step() : 0);
    if (leader.has_value()) {
      RW_RETURN_IF_ERROR(leader->Start(checkpoint != nullptr ? &checkpoint->manifest() : nullptr));
    }
    checkpoint.reset();
    ReleaseFreeMemory();  // what reading took
    return leader.has_value() ? leader->Run() : FollowLeader(parts, update, saver);
  };
  const absl::StatusOr<RunOutcome> outcome = WithoutExceptions(parts, run);
  if (!outcome.ok()) {
    if (leader.has_value()) leader->RecordFailure(outcome.status());
    saver.WaitForCommit();  // what failed since does not cost the checkpoint that was under way
  }
  return outcome;
}

// Known only once the machine is.
absl::Status CheckOffload(const LearnerParts& parts) {
  const ShardingConfig& sharding = parts.config->trainer().sharding();
  if (parts.is_on_gpu || sharding.offload() == ShardingConfig::OFFLOAD_NONE) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "trainer.sharding.offload moves state off a GPU, and this run computes on the CPU: leave it "
      "out");
}

// What every rank has before there is a leader. Fails on all ranks if it does on one.
absl::Status PrepareRank(const LearnerParts& parts, ModelConfig& model,
                         std::unique_ptr<RankGroups>& groups) {
  RW_RETURN_IF_ERROR(CheckOffload(parts));
  RW_ASSIGN_OR_RETURN(model, ShareModelConfig(parts));
  RW_ASSIGN_OR_RETURN(groups,
                      RankGroups::Make(parts.communicator, parts.config->trainer().sharding()));
  return absl::OkStatus();
}

absl::StatusOr<RunOutcome> RunRank(const LearnerParts& parts) {
  SetThreads(*parts.config, parts.communicator->local_size());
  ModelConfig model;
  std::unique_ptr<RankGroups> groups;
  RW_RETURN_IF_ERROR(PutFailedStartOnRecord(parts, PrepareRank(parts, model, groups)));
  PolicyUpdate update(MakeUpdateOptions(parts, model, *groups));
  RW_ASSIGN_OR_RETURN(const RunOutcome outcome, LeadOrFollow(parts, model, update));
  // Nobody leaves before everything is durable: the first exit ends the job.
  RW_RETURN_IF_ERROR(parts.communicator->Barrier("end_of_run")->Wait());
  return outcome;
}

}  // namespace

absl::Status PutFailedStartOnRecord(const LearnerParts& parts, const absl::Status& ready) {
  if (ready.ok()) return ready;
  if (parts.communicator->rank() == 0) {
    RecordFailedStart(*parts.files, RunFolder(*parts.config), ready);
  }
  // The others' end would be rank 0's.
  const absl::Status met = parts.communicator->Barrier("failed_start")->Wait();
  if (!met.ok()) LogWarning("the ranks did not meet to end together: ", met.message());
  return ready;
}

absl::StatusOr<RunOutcome> RunLearner(const LearnerParts& parts) {
  return WithoutExceptions(parts, [&] { return RunRank(parts); });
}

}  // namespace routewright
