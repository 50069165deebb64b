#include "policy/formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

absl::Status SystemError(const std::string& path, const char* operation) {
  const std::string message =
      absl::StrCat(path, ": ", operation, " failed: ", std::strerror(errno));
  return errno == ENOENT || errno == ENOTDIR ? absl::NotFoundError(message)
                                             : absl::UnavailableError(message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, "open");
  struct stat info = {};
  absl::Status status;
  std::string_view bytes;
  if (fstat(fd, &info) != 0) {
    status = SystemError(path, "stat");
  } else if (!S_ISREG(info.st_mode)) {
    status = absl::InvalidArgumentError(absl::StrCat(path, ": not a file"));
  } else if (info.st_size > 0) {
    const size_t size = static_cast<size_t>(info.st_size);
    void* address = mmap(/*addr=*/nullptr, size, PROT_READ, MAP_PRIVATE, fd, /*offset=*/0);
    if (address == MAP_FAILED) {
      status = SystemError(path, "mmap");
    } else {
      bytes = std::string_view(static_cast<const char*>(address), size);
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return std::unique_ptr<MappedFile>(new MappedFile(path, bytes));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

void MapPages([[maybe_unused]] std::string_view bytes) {
#ifdef MADV_POPULATE_READ  // Linux 5.14
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size();
  if (end - begin < 16 * page) return;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
#endif
}

}  // namespace routewright
