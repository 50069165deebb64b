#include "trainer/checkpoint/checkpoint_manifest.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/absl_view.h"
#include "common/crc32c.h"

namespace routewright {
namespace {

// What follows the guarded text.
std::string Seal(std::string_view guarded) {
  return absl::StrFormat(",\"manifestCrc32c\":\"%08x\"}\n", Crc32c(guarded));
}

}  // namespace

absl::StatusOr<std::string> SerializeManifest(const CheckpointManifest& manifest) {
  CheckpointManifest unsealed = manifest;
  unsealed.clear_manifest_crc32c();
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(unsealed, &text);
  if (!status.ok() || !absl::EndsWith(text, "}")) {
    return absl::InternalError("the checkpoint's manifest cannot be written as JSON");
  }
  text.pop_back();
  return text + Seal(text);
}

absl::StatusOr<CheckpointManifest> ParseManifest(std::string_view text, const std::string& origin) {
  const size_t seal_size = Seal("").size();
  if (text.size() < seal_size ||
      text.substr(text.size() - seal_size) != Seal(text.substr(0, text.size() - seal_size))) {
    return absl::DataLossError(
        absl::StrCat(origin, " is damaged: its own checksum does not match"));
  }
  CheckpointManifest manifest;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(text), &manifest);
  if (!status.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(origin, " cannot be read: ", std::string(status.message()),
                     "; was it written by a later version?"));
  }
  if (manifest.format_version() != kCheckpointFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(origin, " has format version ", manifest.format_version(),
                     "; this program reads version ", kCheckpointFormatVersion));
  }
  return manifest;
}

}  // namespace routewright
