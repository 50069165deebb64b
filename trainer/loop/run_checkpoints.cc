#include "trainer/loop/run_checkpoints.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "policy/formats/policy_folder.h"

namespace routewright {

RunCheckpoints::RunCheckpoints(const LearnerParts& parts, const ModelConfig& model,
                               StateSaver* saver, Followers* followers)
    : parts_(parts), model_(model), saver_(saver), followers_(followers) {}

absl::StatusOr<CheckpointTexts> RunCheckpoints::MakeTexts(int64_t step, int64_t policy_version,
                                                          const LearnerState& state) const {
  CheckpointTexts result;
  result.manifest.set_step(step);
  result.manifest.set_policy_version(policy_version);
  result.manifest.set_num_ranks(parts_.communicator->size());
  result.manifest.set_code_version(parts_.code_version);
  *result.manifest.mutable_learner() = state;
  result.texts["config.resolved.yaml"] = ConfigToYaml(*parts_.config);
  result.texts["policy/config.json"] = ModelConfigToJson(model_, "float32");
  for (const std::string& name : CompanionFiles()) {
    const std::string source = absl::StrCat(parts_.config->policy().path(), "/", name);
    if (!parts_.files->Exists(source)) continue;
    RW_ASSIGN_OR_RETURN(result.texts[absl::StrCat("policy/", name)], parts_.files->Read(source));
  }
  return result;
}

absl::Status RunCheckpoints::Save(int64_t step, int64_t policy_version, const LearnerState& state) {
  const absl::Time start = absl::Now();
  const ScopedSpan span("begin to save");
  RW_RETURN_IF_ERROR(Finish(step));
  RW_ASSIGN_OR_RETURN(CheckpointTexts texts, MakeTexts(step, policy_version, state));
  RW_RETURN_IF_ERROR(saver_->Prepare(step));
  RW_RETURN_IF_ERROR(
      followers_->Tell({.kind = StepMessage::Kind::kSave, .step = step, .batch = {}}));
  RW_RETURN_IF_ERROR(saver_->Start(step, std::move(texts)));
  saved_step_ = step;
  stall_s_ = absl::ToDoubleSeconds(absl::Now() - start);
  LogInfo("step=", step, " stall_s=", *stall_s_, " | saving");
  return absl::OkStatus();
}

absl::Status RunCheckpoints::Check(int64_t step) {
  if (saver_->IsIdle()) return saver_->Wait();  // over, well or not
  RW_RETURN_IF_ERROR(
      followers_->Tell({.kind = StepMessage::Kind::kCheckSave, .step = step, .batch = {}}));
  absl::Status status = saver_->Check();
  if (!status.ok()) saver_->GiveUp();  // a part will not come
  return status;
}

absl::Status RunCheckpoints::Finish(int64_t step) {
  while (followers_->are_there() && !saver_->IsIdle()) {
    RW_RETURN_IF_ERROR(Check(step));
    absl::SleepFor(absl::Milliseconds(20));
  }
  return saver_->Wait();
}

std::optional<int64_t> RunCheckpoints::TakeSupersededStep() {
  if (!saver_->IsIdle() || durable_step_ == saved_step_) return std::nullopt;
  const int64_t before = std::exchange(durable_step_, saved_step_);
  return before >= 0 ? std::optional(before) : std::nullopt;
}

void RunCheckpoints::AddMetrics(Metrics& metrics) {
  if (const auto stall_s = std::exchange(stall_s_, std::nullopt); stall_s.has_value()) {
    metrics.Set("checkpoint/stall_s", *stall_s);
  }
  if (const auto write_time = saver_->TakeWriteTime(); write_time.has_value()) {
    metrics.Set("checkpoint/write_s", absl::ToDoubleSeconds(*write_time));
  }
}

}  // namespace routewright
