#include "common/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

constexpr size_t kMaxKeyBytes = 64 << 10;

absl::StatusOr<Secret> FromEnvironment(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') {
    return absl::NotFoundError(
        absl::StrCat("the environment variable ", variable,
                     ", which should hold an API key, is not set: export it"));
  }
  return Secret(value);
}

// Reads what is open as `fd`, so that the file that was checked is the file that is read.
absl::StatusOr<Secret> FromOpenFile(int fd, const std::string& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    return absl::InternalError(absl::StrCat("cannot examine ", path, ": ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("the API key file ", path, " is not a file"));
  }
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("the API key file ", path, " can be read by others: chmod 600 it"));
  }
  std::string value;
  char buffer[4096];
  ssize_t n;
  while ((n = ::read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) value.append(buffer, static_cast<size_t>(n));
    if (value.size() > kMaxKeyBytes) break;
  }
  if (n < 0)
    return absl::InternalError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  absl::StripAsciiWhitespace(&value);
  if (value.empty() || value.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the API key file ", path, value.empty() ? " is empty" : " is too large"));
  }
  return Secret(std::move(value));
}

absl::StatusOr<Secret> FromFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::Status(
        absl::ErrnoToStatusCode(errno),
        absl::StrCat("cannot read the API key file ", path, ": ", std::strerror(errno)));
  }
  absl::StatusOr<Secret> secret = FromOpenFile(fd, path);
  ::close(fd);
  return secret;
}

}  // namespace

absl::StatusOr<Secret> LoadSecret(const std::string& environment_variable,
                                  const std::string& file) {
  if (!environment_variable.empty()) return FromEnvironment(environment_variable);
  if (!file.empty()) return FromFile(file);
  return Secret();
}

}  // namespace switchyard
