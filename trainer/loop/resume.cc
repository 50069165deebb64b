#include "trainer/loop/resume.h"

#include <ATen/Parallel.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/comm/agreement.h"
#include "trainer/record/run_folder.h"

namespace routewright {
namespace {

// Rank 0's choice, one proposal after another.
class Candidates {
 public:
  Candidates(FileSystem& files, const RunConfig& config, const ResumeRequest& request)
      : submission_(request.submission),
        resume_(request.resume),
        run_(files, RunFolder(config)),
        store_(files, run_.checkpoints(), config.trainer().checkpoint()) {}

  // The folder to try next; "": none, start anew.
  absl::StatusOr<std::string> Next() {
    RW_RETURN_IF_ERROR(HonourOnce());
    if (resume_ == "none") {
      RW_RETURN_IF_ERROR(run_.PutAside());
      return std::string();
    }
    if (resume_ != "auto") return resume_;
    if (!steps_.has_value()) {
      RW_RETURN_IF_ERROR(store_.RemoveUnfinished());
      RW_ASSIGN_OR_RETURN(steps_, store_.Steps());
      if (steps_->empty()) return std::string();
    }
    if (!steps_->empty()) return store_.FolderOf(steps_->back());
    return absl::DataLossError(absl::StrCat(
        "every checkpoint in ", run_.checkpoints(),
        " is damaged (they are now named damaged-step-…); start anew with --resume none, or name "
        "another checkpoint with --resume DIR"));
  }

  // The proposal is damaged. Ok if there may be another.
  absl::Status Reject(const absl::Status& why) {
    if (resume_ != "auto" || !absl::IsDataLoss(why)) return why;
    const int64_t step = steps_->back();
    steps_->pop_back();
    return store_.PutAsideDamaged(step, why);
  }

  absl::Status Accept(const CheckpointReader& checkpoint) {
    return resume_ == "auto" ? absl::OkStatus()
                             : store_.PutAsideLaterThan(checkpoint.manifest().step());
  }

 private:
  // A launcher that starts ranks again, as Slurm does a job, repeats the words of the first time.
  absl::Status HonourOnce() {
    if (resume_ == "auto" || submission_.empty() || submission_ != run_.RecordedSubmission()) {
      return absl::OkStatus();
    }
    if (resume_ != "none") {  // perhaps another run's, from which this one has saved nothing yet
      RW_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store_.Steps());
      if (steps.empty() || steps.back() <= run_.SubmissionFirstStep()) return absl::OkStatus();
    }
    LogInfo("submission=", submission_, " | --resume ", resume_,
            " was done when it started first: goes on from the newest checkpoint");
    resume_ = "auto";
    return absl::OkStatus();
  }

  const std::string submission_;
  std::string resume_;
  RunFolderFiles run_;
  CheckpointStore store_;
  std::optional<std::vector<int64_t>> steps_;  // that were not tried yet, ascending
};

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTogether(FileSystem& files,
                                                               Communicator& communicator,
                                                               const std::string& folder) {
  auto reader = CheckpointReader::Open(files, folder);
  absl::Status mine = reader.status();
  if (mine.ok())
    mine = (*reader)->Verify(communicator.rank(), communicator.size(), at::get_num_threads());
  RW_RETURN_IF_ERROR(AgreeOnStatus(communicator, "verify_checkpoint", mine));
  RW_RETURN_IF_ERROR(AgreeOnStatus(communicator, "open_checkpoint", (*reader)->OpenTensors()));
  return reader;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(FileSystem& files,
                                                                 Communicator& communicator,
                                                                 const RunConfig& config,
                                                                 const ResumeRequest& request) {
  std::optional<Candidates> candidates;
  if (communicator.rank() == 0) candidates.emplace(files, config, request);
  while (true) {
    std::string folder;
    absl::Status status;
    if (candidates.has_value()) {
      auto next = candidates->Next();
      status = next.status();
      if (next.ok()) folder = *std::move(next);
    }
    RW_RETURN_IF_ERROR(AgreeOnStatus(communicator, "propose_checkpoint", status));
    RW_RETURN_IF_ERROR(BroadcastString(communicator, "checkpoint_folder", folder, /*root=*/0));
    if (folder.empty()) return nullptr;
    auto reader = OpenTogether(files, communicator, folder);
    if (candidates.has_value()) {
      status = reader.ok() ? candidates->Accept(**reader) : candidates->Reject(reader.status());
    }
    RW_RETURN_IF_ERROR(AgreeOnStatus(communicator, "accept_checkpoint", status));
    if (reader.ok()) return reader;
  }
}

}  // namespace routewright
