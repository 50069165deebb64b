#include "trainer/loop/state_saver.h"

#include <utility>

#include "common/config/config_loader.h"
#include "common/status_macros.h"
#include "trainer/comm/agreement.h"
#include "trainer/record/run_folder.h"

namespace routewright {

StateSaver::StateSaver(const LearnerParts& parts, const ModelConfig& model,
                       const PolicyUpdate* update)
    : communicator_(*parts.communicator),
      update_(update),
      is_asynchronous_(parts.config->trainer().checkpoint().asynchronous()),
      copy_(is_asynchronous_ ? HostCopy::Mode::kCopy : HostCopy::Mode::kBorrow),
      saver_({.files = parts.files,
              .folder = RunFolderFiles(*parts.files, RunFolder(*parts.config)).checkpoints(),
              .config = parts.config->trainer().checkpoint(),
              .model = model,
              .rank = parts.communicator->rank(),
              .num_ranks = parts.communicator->size()}) {}

absl::Status StateSaver::Prepare(int64_t step) {
  return saver_.Prepare(step, update_->SavedModels());
}

absl::Status StateSaver::Start(int64_t step, std::optional<CheckpointTexts> texts) {
  RW_RETURN_IF_ERROR(saver_.Wait());  // its copy is about to be written over
  RW_RETURN_IF_ERROR(saver_.Start(step, update_->Share(copy_), std::move(texts)));
  return is_asynchronous_ ? absl::OkStatus() : saver_.WaitForFiles();
}

absl::Status StateSaver::Check() {
  return AgreeOnStatus(communicator_, "save_status", saver_.status());
}

void StateSaver::WaitForCommit() { saver_.WaitForCommit(absl::Seconds(30)); }

}  // namespace routewright
