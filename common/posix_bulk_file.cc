#include "common/posix_bulk_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/posix_call.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr size_t kBufferBytes = size_t{8} << 20;
constexpr size_t kAlignment = 4096;  // of addresses, offsets and sizes that O_DIRECT takes

struct FreeBuffer {
  void operator()(char* buffer) const { std::free(buffer); }
};
using Buffer = std::unique_ptr<char, FreeBuffer>;

class PosixBulkFile final : public WritableFile {
 public:
  PosixBulkFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {
    for (Buffer& buffer : buffers_) {
      buffer.reset(static_cast<char*>(std::aligned_alloc(kAlignment, kBufferBytes)));
      RW_CHECK(buffer != nullptr) << "no memory for writing " << path_;
    }
    thread_ = std::jthread([this] { WriteLoop(); });
  }
  ~PosixBulkFile() override {
    Stop();
    if (fd_ >= 0) ::close(fd_);
  }

  absl::Status Append(std::string_view data) override {
    while (!data.empty()) {
      const size_t n = std::min(data.size(), kBufferBytes - num_filled_);
      std::memcpy(buffers_[filling_].get() + num_filled_, data.data(), n);
      num_filled_ += n;
      data.remove_prefix(n);
      if (num_filled_ == kBufferBytes) RW_RETURN_IF_ERROR(HandOver());
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    RW_RETURN_IF_ERROR(Flush());
    if (Uninterrupted([&] { return ::fsync(fd_); }) < 0) return FailedCall("sync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    if (fd_ < 0) return absl::OkStatus();
    absl::Status status = Flush();
    Stop();
    const int result = ::close(std::exchange(fd_, -1));  // never twice, even after EINTR
    if (result < 0 && errno != EINTR) status.Update(FailedCall("close", path_, errno));
    return status;
  }

 private:
  // Gives the filled buffer to the thread once that has written the one before.
  absl::Status HandOver() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &PosixBulkFile::is_idle));
    RW_RETURN_IF_ERROR(status_);
    to_write_ = {buffers_[filling_].get(), num_filled_};
    filling_ = 1 - filling_;
    num_filled_ = 0;
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (num_filled_ > 0) RW_RETURN_IF_ERROR(HandOver());
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &PosixBulkFile::is_idle));
    return status_;
  }

  void Stop() {
    {
      const absl::MutexLock lock(&mutex_);
      is_stopped_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }

  bool is_idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return to_write_.empty(); }
  bool has_work() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !to_write_.empty() || is_stopped_;
  }

  void WriteLoop() {
    bool is_first = true;
    while (true) {
      std::span<const char> bytes;
      {
        const absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &PosixBulkFile::has_work));
        if (to_write_.empty()) return;
        bytes = to_write_;
      }
      if (is_first) SetDirect(bytes.size() == kBufferBytes);  // a small file is not worth it
      is_first = false;
      absl::Status status = Write(bytes);
      const absl::MutexLock lock(&mutex_);
      status_.Update(std::move(status));
      to_write_ = {};
    }
  }

  // The thread's. A part that O_DIRECT does not take, the file's end, goes through the cache, and
  // so does all of it on a file system that knows no O_DIRECT.
  absl::Status Write(std::span<const char> bytes) {
    while (!bytes.empty()) {
      size_t n = bytes.size();
      if (is_direct_) {
        n = n / kAlignment * kAlignment;
        if (n == 0) SetDirect(false);
      }
      const ssize_t written =
          Uninterrupted([&] { return ::write(fd_, bytes.data(), n == 0 ? bytes.size() : n); });
      if (written < 0 && errno == EINVAL && is_direct_) {
        SetDirect(false);
        continue;
      }
      if (written < 0) return FailedCall("write to", path_, errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
      if (written % kAlignment != 0) SetDirect(false);
    }
    return absl::OkStatus();
  }

  void SetDirect(bool is_direct) {
    const int flags = ::fcntl(fd_, F_GETFL);
    const int wanted = is_direct ? flags | O_DIRECT : flags & ~O_DIRECT;
    is_direct_ = flags >= 0 && ::fcntl(fd_, F_SETFL, wanted) == 0 && is_direct;
  }

  int fd_;
  const std::string path_;
  std::array<Buffer, 2> buffers_;
  int filling_ = 0;  // the caller's buffer; the other one is the thread's
  size_t num_filled_ = 0;
  bool is_direct_ = false;  // the thread's

  absl::Mutex mutex_;
  std::span<const char> to_write_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // the first failure
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;

  std::jthread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WritableFile>> OpenPosixBulkFile(const std::string& path) {
  const int fd = Uninterrupted(
      [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); });
  if (fd < 0) return FailedCall("open for writing", path, errno);
  return std::make_unique<PosixBulkFile>(fd, path);
}

}  // namespace routewright
