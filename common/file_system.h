// The file layer: every durable write of Routewright goes through it, so that tests can cut, fill or
// slow the disk. Errors name the path, the operation and the system's reason. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace routewright {

// A file open for writing. Close reports what buffered writes could not.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status Append(std::string_view data) = 0;
  virtual absl::Status Sync() = 0;  // to the disk (fsync)
  virtual absl::Status Close() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(
      const std::string& path) = 0;  // truncates
  // For many megabytes that are written from front to back and not read again soon; truncates.
  // What fails may come out of a later call of the file.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForBulkWrite(const std::string& path) {
    return OpenForWrite(path);
  }
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(
      const std::string& path) = 0;  // each Append is one write
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status SyncFolder(const std::string& path) = 0;
  virtual absl::Status CreateFolders(const std::string& path) = 0;
  virtual absl::Status RemoveAll(const std::string& path) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) = 0;  // names, sorted
  virtual bool Exists(const std::string& path) = 0;

  static FileSystem& Posix();  // the real one; never destroyed
};

// Write aside, fsync, rename, fsync the parent: readers see the old content or the new, whole.
absl::Status WriteFileAtomically(FileSystem& files, const std::string& path,
                                 std::string_view content);

}  // namespace routewright
