// manifest.json: the last file of a checkpoint, which says what the others must be. It is a
// CheckpointManifest as JSON and guards itself: its last field is the CRC-32C of all text before
// that field. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"

namespace routewright {

inline constexpr int kCheckpointFormatVersion = 2;

// {"formatVersion":1,…,"manifestCrc32c":"1a2b3c4d"} and a newline.
absl::StatusOr<std::string> SerializeManifest(const CheckpointManifest& manifest);

// `origin` names the file in errors. Fails: kDataLoss if a byte was changed or lost;
// kFailedPrecondition if it was written in another format.
absl::StatusOr<CheckpointManifest> ParseManifest(std::string_view text, const std::string& origin);

}  // namespace routewright
