#include "trainer/experience/demonstrations.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/dataset.h"
#include "common/file_kind.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "proto/episode.pb.h"

namespace routewright {
namespace {

// Which of the recorded trajectories are learnt from.
struct Wanted {
  TrajectoryRules rules;
  double min_reward = 0.0;
  std::set<std::string> held_out;  // questions, as they are worded, that nothing is learnt about
};

// Why trajectories were left out, and how many.
using LeftOut = std::map<std::string, int64_t>;

// Why nothing is to be learnt from it; empty: it is a demonstration.
std::string ReasonAgainst(const Trajectory& trajectory, const Wanted& wanted) {
  const auto& provenance = trajectory.provenance();
  if (trajectory.purpose() == PURPOSE_EVAL) return "of evaluations";
  if (wanted.held_out.contains(trajectory.question().question())) return "about held-out questions";
  if (trajectory.status() != EPISODE_STATUS_ANSWERED &&
      trajectory.status() != EPISODE_STATUS_UNSPECIFIED) {  // written by hand
    return "not answered";
  }
  if (trajectory.reward() < wanted.min_reward) return "with a lower reward";
  if (std::find(provenance.begin(), provenance.end(), PROVENANCE_POLICY) == provenance.end()) {
    return "without a token of the policy";
  }
  return "";
}

absl::Status AppendFile(const std::string& path, const Wanted& wanted, Batch& batch,
                        LeftOut& left_out) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, "; data.demonstrations names trajectory files"));
  }
  int64_t line_number = 0;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    if (line.empty()) continue;
    if (const std::string_view kind = ForeignFileKind(line); line_number == 1 && !kind.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, " ", std::string(kind)));
    }
    Trajectory trajectory;
    const auto parsed = google::protobuf::util::JsonStringToMessage(line, &trajectory);
    absl::Status status = absl::InvalidArgumentError(std::string(parsed.message()));
    if (parsed.ok()) {
      const std::string reason = ReasonAgainst(trajectory, wanted);
      if (!reason.empty()) {
        ++left_out[reason];
        continue;
      }
      status = AppendTrajectory(trajectory, wanted.rules, /*group=*/0, batch);
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", line_number, ": not a trajectory: ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

// "3 of evaluations, 2 not answered".
std::string InWords(const LeftOut& left_out) {
  std::string words;
  for (const auto& [reason, count] : left_out) {
    absl::StrAppend(&words, words.empty() ? "" : ", ", count, " ", reason);
  }
  return words;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Demonstrations>> Demonstrations::Load(const RunConfig& config,
                                                                     const ModelConfig& model) {
  const DataConfig& data = config.data();
  Wanted wanted = {.rules = {.vocabulary_size = model.vocabulary_size,
                             .max_tokens = std::min<int64_t>(
                                 config.trainer().max_micro_batch_tokens(), model.max_positions),
                             .is_recorded = true},
                   .min_reward = data.demonstration_min_reward(),
                   .held_out = {}};
  RW_ASSIGN_OR_RETURN(const auto held_out, LoadDatasets(data.held_out()));
  for (const Question& question : held_out) wanted.held_out.insert(question.question());
  Batch all;
  LeftOut left_out;
  for (const std::string& path : data.demonstrations()) {
    RW_RETURN_IF_ERROR(AppendFile(path, wanted, all, left_out));
  }
  if (all.num_trajectories() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the files of data.demonstrations hold no trajectory to learn from",
                     left_out.empty() ? "" : "; left out: ", InWords(left_out)));
  }
  if (!left_out.empty()) {
    LogInfo("demonstrations=", all.num_trajectories(), " | left out: ", InWords(left_out));
  }
  return absl::WrapUnique(new Demonstrations(std::move(all), config.run().seed()));
}

Demonstrations::Demonstrations(Batch all, uint64_t seed)
    : all_(std::move(all)), order_(all_.num_trajectories(), seed, "demonstration order") {
  digest_ = Crc32c({reinterpret_cast<const char*>(all_.token_ids.data()),
                    all_.token_ids.size() * sizeof(all_.token_ids[0])});
}

Batch Demonstrations::Draw(int n) {
  Batch batch;
  for (int i = 0; i < n; ++i) AppendFrom(all_, static_cast<int64_t>(order_.At(cursor_++)), batch);
  return batch;
}

absl::Status Demonstrations::Restore(uint64_t cursor, uint64_t digest) {
  if (digest != digest_) {
    return absl::FailedPreconditionError(
        "the checkpoint was made with other demonstrations: restore data.demonstrations, or start "
        "with --resume none");
  }
  cursor_ = cursor;
  return absl::OkStatus();
}

}  // namespace routewright
