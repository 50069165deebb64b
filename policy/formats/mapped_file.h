// A file's bytes, memory-mapped read-only: weight files are read without a second copy in memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace routewright {

// The mapping lives as long as this object. Immutable; any thread. The file must not
// be cut while it is mapped.
class MappedFile {
 public:
  // Fails: kNotFound if there is no such file; kInvalidArgument if it is not a regular file;
  // kUnavailable, naming the system's reason, if it cannot be read.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, std::string_view bytes) : path_(std::move(path)), bytes_(bytes) {}
  std::string path_;
  std::string_view bytes_;  // empty for an empty file, which is not mapped
};

// A hint: these bytes of a mapped file are about to be read through. Their pages are mapped at once
// instead of one fault after another.
void MapPages(std::string_view bytes);

}  // namespace routewright
