// FileSystem::Posix().OpenForBulkWrite: a large file that is written once, from front to back. A
// thread of its own writes one buffer while the next is filled, past the page cache where the file
// system can (O_DIRECT), so that Sync has little left to wait for and other files keep their place
// in the cache. Memory: two buffers of 8 MiB.
//
// One thread calls it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"

namespace routewright {

// Truncates. An error of the disk comes out of the next Append, Sync or Close.
absl::StatusOr<std::unique_ptr<WritableFile>> OpenPosixBulkFile(const std::string& path);

}  // namespace routewright
