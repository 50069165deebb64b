#include "trainer/record/run_folder.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "trainer/record/event_log.h"

namespace routewright {
namespace {

absl::StatusOr<std::string> ToJsonLine(const Trajectory& trajectory) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(trajectory, &line, options);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat("trajectory ", trajectory.episode_id(),
                     " cannot be written as JSON: ", std::string(status.message())));
  }
  return line + "\n";
}

std::string NameThisLearner() {
  return absl::StrCat(HostName(), ":", getpid(), ":", absl::ToUnixMicros(absl::Now()));
}

// learner.json; no object if there is none that can be read.
nlohmann::json ReadRecord(FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::string> text = files.Read(path);
  return nlohmann::json::parse(text.value_or(""), /*cb=*/nullptr, /*allow_exceptions=*/false);
}

// A value of the record; 0 or "" if it has none.
int64_t NumberIn(const nlohmann::json& record, const char* name) {
  const bool is_there =
      record.is_object() && record.contains(name) && record[name].is_number_integer();
  return is_there ? record[name].get<int64_t>() : 0;
}
std::string TextIn(const nlohmann::json& record, const char* name) {
  const bool is_there = record.is_object() && record.contains(name) && record[name].is_string();
  return is_there ? record[name].get<std::string>() : "";
}

}  // namespace

RunFolderFiles::RunFolderFiles(FileSystem& files, std::string folder, std::string submission)
    : files_(files),
      folder_(std::move(folder)),
      submission_(std::move(submission)),
      learner_(NameThisLearner()) {}

bool IsRecorded(const Trajectory& trajectory, double share, uint64_t seed) {
  return RandomUniform(StreamKey(seed, trajectory.episode_id(), 0), /*counter=*/0) < share;
}

absl::Status RunFolderFiles::Prepare(const std::string& config_yaml,
                                     const std::string& environment_json) {
  RW_RETURN_IF_ERROR(files_.CreateFolders(folder_));
  if (!environment_json.empty()) {
    RW_RETURN_IF_ERROR(
        WriteFileAtomically(files_, folder_ + "/environment.json", environment_json));
  }
  return WriteFileAtomically(files_, config(), config_yaml);
}

absl::Status RunFolderFiles::PutAside() {
  std::string aside;
  for (int number = 1; aside.empty() || files_.Exists(aside); ++number) {
    aside = absl::StrCat(folder_, "/previous-", number);
  }
  std::vector<std::string> paths = {checkpoints(), metrics(), trajectories(), traces(), journal()};
  if (files_.Exists(folder_)) {
    RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(folder_));
    for (const std::string& name : names) {
      const bool is_of_the_old_run = name.starts_with(kEventFilePrefix) ||
                                     name.starts_with("report.");  // of an evaluation, or the page
      if (is_of_the_old_run) paths.push_back(absl::StrCat(folder_, "/", name));
    }
  }
  for (const std::string& request : {trace_request(), trace_claim()}) {
    if (files_.Exists(request)) RW_RETURN_IF_ERROR(files_.RemoveAll(request));
  }
  for (const std::string& path : paths) {
    if (!files_.Exists(path)) continue;
    RW_RETURN_IF_ERROR(files_.CreateFolders(aside));
    RW_RETURN_IF_ERROR(files_.Rename(path, aside + path.substr(folder_.size())));
    LogWarning("run=", folder_, " | starting anew: ", path, " was moved into ", aside);
  }
  return absl::OkStatus();
}

absl::Status RunFolderFiles::RecordTrajectories(const std::string& what, int64_t step,
                                                std::span<const Trajectory> trajectories,
                                                double share, uint64_t seed) {
  std::string text;
  for (const Trajectory& trajectory : trajectories) {
    if (!IsRecorded(trajectory, share, seed)) continue;
    RW_ASSIGN_OR_RETURN(const std::string line, ToJsonLine(trajectory));
    text += line;
  }
  if (text.empty()) return absl::OkStatus();
  const std::string folder = this->trajectories();
  RW_RETURN_IF_ERROR(files_.CreateFolders(folder));
  return WriteFileAtomically(files_, absl::StrFormat("%s/%s-%06d.jsonl", folder, what, step), text);
}

absl::Status RunFolderFiles::WriteState(const std::string& state, int64_t step,
                                        const std::string& message) {
  if (has_taken_over_) RW_RETURN_IF_ERROR(CheckIsOurs());
  // One that has not begun leaves a run alone that another may be making.
  if (!has_taken_over_ && state != "running") RW_RETURN_IF_ERROR(CheckIsNotRunning());
  nlohmann::ordered_json json = {
      {"state", state}, {"step", step}, {"message", message}, {"learner", learner_}};
  const bool has_begun = has_taken_over_ || state == "running";
  const nlohmann::json before = ReadRecord(files_, state_file());
  const std::string recorded = TextIn(before, "submission");
  if (const std::string& submission = has_begun ? submission_ : recorded; !submission.empty()) {
    json["submission"] = submission;
    json["submission_first_step"] =
        submission == recorded ? NumberIn(before, "submission_first_step") : step;
  }
  const std::string text =
      json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  RW_RETURN_IF_ERROR(WriteFileAtomically(files_, state_file(), text + "\n"));
  has_taken_over_ = true;
  return absl::OkStatus();
}

absl::Status RunFolderFiles::CheckIsNotRunning() const {
  if (TextIn(ReadRecord(files_, state_file()), "state") != "running") return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat(state_file(), " says that the run is being made by another learner"));
}

int64_t RunFolderFiles::RecordedStep() const {
  return NumberIn(ReadRecord(files_, state_file()), "step");
}

int64_t RunFolderFiles::SubmissionFirstStep() const {
  return NumberIn(ReadRecord(files_, state_file()), "submission_first_step");
}

std::string RunFolderFiles::RecordedSubmission() const {
  return TextIn(ReadRecord(files_, state_file()), "submission");
}

absl::Status RunFolderFiles::CheckIsOurs() const {
  const std::string owner = TextIn(ReadRecord(files_, state_file()), "learner");
  // Nobody has taken over what nobody can read.
  if (owner.empty() || owner == learner_) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the run in ", folder_, " was taken over by learner ",
                                         owner, " (learner.json): this one, ", learner_,
                                         ", ends and leaves it alone"));
}

void RecordFailedStart(FileSystem& files, const std::string& folder, const absl::Status& why) {
  absl::Status written = files.CreateFolders(folder);
  if (written.ok()) {
    RunFolderFiles run(files, folder);
    written = run.WriteState("failed", run.RecordedStep(), std::string(why.message()));
  }
  if (!written.ok()) LogWarning("that the run failed is not on record: ", written.message());
}

}  // namespace routewright
