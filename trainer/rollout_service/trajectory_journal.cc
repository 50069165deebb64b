#include "trainer/rollout_service/trajectory_journal.h"

#include <google/protobuf/util/message_differencer.h>

#include <cstring>
#include <optional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr std::string_view kMagic = "RWJRNL1\n";
constexpr size_t kHeadBytes = 8;  // of a record: length, checksum

std::string Record(const google::protobuf::MessageLite& message) {
  const std::string payload = message.SerializeAsString();
  const uint32_t head[] = {static_cast<uint32_t>(payload.size()), Crc32c(payload)};
  static_assert(sizeof(head) == kHeadBytes);
  return std::string(reinterpret_cast<const char*>(head), kHeadBytes) + payload;
}

// The next record's payload, taken off `bytes`; nullopt at the end, or where a record is torn.
std::optional<std::string_view> TakeRecord(std::string_view& bytes) {
  if (bytes.size() < kHeadBytes) return std::nullopt;
  uint32_t head[2];
  std::memcpy(head, bytes.data(), kHeadBytes);
  const std::string_view payload = bytes.substr(kHeadBytes, head[0]);
  if (payload.size() != head[0] || Crc32c(payload) != head[1]) return std::nullopt;
  bytes.remove_prefix(kHeadBytes + payload.size());
  return payload;
}

struct Content {
  std::vector<Trajectory> trajectories;
  size_t num_bytes = 0;  // that are whole
};

// What the file holds of this origin; nothing if it is of another.
Content Parse(std::string_view bytes, const JournalOrigin& origin) {
  Content content;
  std::string_view rest = bytes;
  if (rest.substr(0, kMagic.size()) != kMagic) return content;
  rest.remove_prefix(kMagic.size());
  const auto first = TakeRecord(rest);
  JournalOrigin found;
  if (!first.has_value() || !found.ParseFromArray(first->data(), static_cast<int>(first->size())) ||
      !google::protobuf::util::MessageDifferencer::Equals(found, origin)) {
    return content;
  }
  for (auto record = first; record.has_value(); record = TakeRecord(rest)) {
    content.num_bytes = bytes.size() - rest.size();
    if (record->data() == first->data()) continue;
    Trajectory& trajectory = content.trajectories.emplace_back();
    if (!trajectory.ParseFromArray(record->data(), static_cast<int>(record->size()))) {
      content.trajectories.pop_back();
    }
  }
  return content;
}

}  // namespace

TrajectoryJournal::TrajectoryJournal(FileSystem& files, std::string folder)
    : files_(files), folder_(std::move(folder)) {}

std::string TrajectoryJournal::PathOf(int64_t step) const {
  return absl::StrFormat("%s/step-%06d.bin", folder_, step);
}

absl::StatusOr<std::vector<Trajectory>> TrajectoryJournal::OpenStep(int64_t step,
                                                                    const JournalOrigin& origin) {
  const absl::MutexLock lock(&mutex_);
  file_ = nullptr;
  const std::string path = PathOf(step);
  RW_RETURN_IF_ERROR(files_.CreateFolders(folder_));
  std::string bytes;
  if (files_.Exists(path)) {
    RW_ASSIGN_OR_RETURN(bytes, files_.Read(path));
  }
  Content content = Parse(bytes, origin);
  if (content.num_bytes == 0 || content.num_bytes < bytes.size()) {
    if (!bytes.empty()) {
      LogWarning("step=", step, " file=", path, " | ", bytes.size() - content.num_bytes,
                 " bytes are torn or of other weights: not used");
    }
    bytes.resize(content.num_bytes);
    if (bytes.empty()) bytes = absl::StrCat(std::string(kMagic), Record(origin));
    RW_RETURN_IF_ERROR(WriteFileAtomically(files_, path, bytes));
  }
  RW_ASSIGN_OR_RETURN(file_, files_.OpenForAppend(path));
  return std::move(content.trajectories);
}

absl::Status TrajectoryJournal::Append(std::span<const Trajectory> trajectories) {
  std::string records;
  for (const Trajectory& trajectory : trajectories) records += Record(trajectory);
  if (records.empty()) return absl::OkStatus();
  const absl::MutexLock lock(&mutex_);
  if (file_ == nullptr) return absl::FailedPreconditionError("no step is open in the journal");
  RW_RETURN_IF_ERROR(file_->Append(records));
  return file_->Sync();
}

absl::Status TrajectoryJournal::ForgetBefore(int64_t step) {
  const absl::MutexLock lock(&mutex_);
  if (!files_.Exists(folder_)) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(folder_));
  for (const std::string& name : names) {
    absl::string_view number = name;
    int64_t of_step = 0;
    if (!absl::ConsumePrefix(&number, "step-") || !absl::ConsumeSuffix(&number, ".bin") ||
        !absl::SimpleAtoi(number, &of_step) || of_step >= step) {
      continue;
    }
    RW_RETURN_IF_ERROR(files_.RemoveAll(absl::StrCat(folder_, "/", name)));
  }
  return absl::OkStatus();
}

}  // namespace routewright
