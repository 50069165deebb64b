#include "trainer/experience/demonstrations.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/status_macros.h"
#include "proto/episode.pb.h"

namespace routewright {
namespace {

absl::Status AppendFile(const std::string& path, int64_t vocabulary_size, Batch& batch) {
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, "; data.demonstrations names trajectory files"));
  }
  const TrajectoryRules rules = {.vocabulary_size = vocabulary_size, .is_recorded = true};
  int64_t line_number = 0;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    if (line.empty()) continue;
    Trajectory trajectory;
    const auto parsed = google::protobuf::util::JsonStringToMessage(line, &trajectory);
    const absl::Status status = parsed.ok()
                                    ? AppendTrajectory(trajectory, rules, /*group=*/0, batch)
                                    : absl::InvalidArgumentError(std::string(parsed.message()));
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ":", line_number, ": not a trajectory: ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

// Appends trajectory b of `from`.
void Copy(const Batch& from, int64_t b, Batch& to) {
  to.token_ids.insert(to.token_ids.end(), from.token_ids.begin() + from.offsets[b],
                      from.token_ids.begin() + from.offsets[b + 1]);
  for (int64_t n = from.scored_offsets[b]; n < from.scored_offsets[b + 1]; ++n) {
    to.scored.push_back(from.scored[n]);
    to.sampler_logprobs.push_back(from.sampler_logprobs[n]);
  }
  to.offsets.push_back(to.num_tokens());
  to.scored_offsets.push_back(to.num_scored());
  to.rewards.push_back(from.rewards[b]);
  to.groups.push_back(from.groups[b]);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Demonstrations>> Demonstrations::Load(
    std::span<const std::string> paths, int64_t vocabulary_size, uint64_t seed) {
  Batch all;
  for (const std::string& path : paths) {
    RW_RETURN_IF_ERROR(AppendFile(path, vocabulary_size, all));
  }
  if (all.num_trajectories() == 0) {
    return absl::InvalidArgumentError("the files of data.demonstrations hold no trajectory");
  }
  return absl::WrapUnique(new Demonstrations(std::move(all), seed));
}

Demonstrations::Demonstrations(Batch all, uint64_t seed)
    : all_(std::move(all)), order_(all_.num_trajectories(), seed, "demonstration order") {
  digest_ = Crc32c({reinterpret_cast<const char*>(all_.token_ids.data()),
                    all_.token_ids.size() * sizeof(all_.token_ids[0])});
}

Batch Demonstrations::Draw(int n) {
  Batch batch;
  for (int i = 0; i < n; ++i) Copy(all_, static_cast<int64_t>(order_.At(cursor_++)), batch);
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
