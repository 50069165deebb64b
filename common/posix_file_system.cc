// FileSystem::Posix(): the file layer over system calls, with interrupted and short writes
// continued.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/file_system.h"
#include "common/posix_bulk_file.h"
#include "common/posix_call.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

class PosixFile final : public WritableFile {
 public:
  PosixFile(int fd, std::string path, bool is_append)
      : fd_(fd), path_(std::move(path)), is_append_(is_append) {}
  ~PosixFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  absl::Status Append(std::string_view data) override {
    size_t written = 0;
    while (written < data.size()) {
      const ssize_t n =
          Uninterrupted([&] { return ::write(fd_, data.data() + written, data.size() - written); });
      if (n < 0) {
        const int error = errno;
        if (is_append_ && written > 0) TakeBack(written);
        return FailedCall("write to", path_, error);
      }
      written += static_cast<size_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (Uninterrupted([&] { return ::fsync(fd_); }) < 0) return FailedCall("sync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    if (fd_ < 0) return absl::OkStatus();
    const int result = ::close(fd_);  // never twice: the descriptor is gone even after EINTR
    fd_ = -1;
    if (result < 0 && errno != EINTR) return FailedCall("close", path_, errno);
    return absl::OkStatus();
  }

 private:
  // Removes the first part of a record whose rest found no room, so that the next
  // record starts on its own line.
  void TakeBack(size_t written) {
    const off_t end = ::lseek(fd_, 0, SEEK_CUR);
    struct stat info;
    if (end < 0 || ::fstat(fd_, &info) != 0 || info.st_size != end)
      return;                                                              // others wrote after us
    if (::ftruncate(fd_, end - static_cast<off_t>(written)) != 0) return;  // the first error counts
  }

  int fd_;
  const std::string path_;
  const bool is_append_;
};

absl::StatusOr<std::unique_ptr<WritableFile>> Open(const std::string& path, int flags) {
  const int fd = Uninterrupted(
      [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666); });
  if (fd < 0) return FailedCall("open for writing", path, errno);
  return std::make_unique<PosixFile>(fd, path, (flags & O_APPEND) != 0);
}

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override {
    return Open(path, O_TRUNC);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return Open(path, O_APPEND);
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForBulkWrite(const std::string& path) override {
    return OpenPosixBulkFile(path);
  }

  absl::StatusOr<std::string> Read(const std::string& path) override {
    const int fd = Uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
    if (fd < 0) return FailedCall("read", path, errno);
    std::string content;
    struct stat info;
    if (::fstat(fd, &info) == 0 && info.st_size > 0) content.reserve(info.st_size);
    char buffer[1 << 16];
    ssize_t n;
    while ((n = Uninterrupted([&] { return ::read(fd, buffer, sizeof(buffer)); })) > 0) {
      content.append(buffer, static_cast<size_t>(n));
    }
    const int error = errno;
    ::close(fd);
    if (n < 0) return FailedCall("read", path, error);
    return content;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return FailedCall(absl::StrCat("rename ", from, " to"), to, errno);
  }

  absl::Status SyncFolder(const std::string& path) override {
    const int fd =
        Uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (fd < 0) return FailedCall("open folder", path, errno);
    const int result = Uninterrupted([&] { return ::fsync(fd); });
    const int error = errno;
    ::close(fd);
    // Some network file systems cannot sync a folder and say EINVAL: their
    // rename is durable by itself.
    if (result < 0 && error != EINVAL) return FailedCall("sync folder", path, error);
    return absl::OkStatus();
  }

  absl::Status CreateFolders(const std::string& path) override {
    const std::filesystem::path folder(path);
    if (folder.empty()) return absl::OkStatus();
    struct stat info;
    if (::stat(path.c_str(), &info) == 0) {
      return S_ISDIR(info.st_mode) ? absl::OkStatus() : FailedCall("make folder", path, ENOTDIR);
    }
    const std::string parent = folder.parent_path().string();
    if (parent != path) RW_RETURN_IF_ERROR(CreateFolders(parent));
    if (::mkdir(path.c_str(), 0777) != 0) {
      if (errno == EEXIST) return absl::OkStatus();  // made meanwhile, or "a/" after "a"
      return FailedCall("make folder", path, errno);
    }
    return SyncFolder(parent.empty() ? "." : parent);
  }

  absl::Status RemoveAll(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    return error ? FailedCall("remove", path, error.value()) : absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error) return FailedCall("list folder", path, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
  }
};

}  // namespace

FileSystem& FileSystem::Posix() {
  static auto* files = new PosixFileSystem;
  return *files;
}

}  // namespace routewright
