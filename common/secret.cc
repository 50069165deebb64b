#include "common/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr size_t kMaxKeyBytes = 64 << 10;
constexpr std::string_view kBearer = "Bearer ";  // a scheme's case does not matter

absl::StatusOr<Secret> FromEnvironment(const std::string& variable, const std::string& what) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') {
    return absl::NotFoundError(absl::StrCat("the environment variable ", variable,
                                            ", which should hold the ", what,
                                            ", is not set: export it"));
  }
  return Secret(value);
}

// Reads what is open as `fd`, so that the file that was checked is the file that is read.
absl::StatusOr<Secret> FromOpenFile(int fd, const std::string& path, const std::string& what,
                                    bool is_private) {
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    return absl::InternalError(absl::StrCat("cannot examine ", path, ": ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("the ", what, " file ", path, " is not a file"));
  }
  if (is_private && (info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("the ", what, " file ", path, " can be read by others: chmod 600 it"));
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
        absl::StrCat("the ", what, " file ", path, value.empty() ? " is empty" : " is too large"));
  }
  return Secret(std::move(value));
}

absl::StatusOr<Secret> FromFile(const std::string& path, const std::string& what, bool is_private) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::Status(
        absl::ErrnoToStatusCode(errno),
        absl::StrCat("cannot read the ", what, " file ", path, ": ", std::strerror(errno)));
  }
  absl::StatusOr<Secret> secret = FromOpenFile(fd, path, what, is_private);
  ::close(fd);
  return secret;
}

// Goes into a header, where a line break or the like would be a fault that is printed.
absl::StatusOr<Secret> OneWord(absl::StatusOr<Secret> secret, const std::string& path,
                               const std::string& what) {
  if (!secret.ok()) return secret;
  const std::string& value = secret->Reveal();
  if (std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    return secret;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the ", what, " file ", path, " does not hold one word"));
}

// In its place at once and whole, under the name of another that nobody had.
absl::Status WritePrivateFile(const std::string& path, const std::string& content) {
  std::string partial = path + ".XXXXXX";
  const int fd = ::mkostemp(partial.data(), O_CLOEXEC);  // with mode 0600
  struct stat info = {};
  if (fd >= 0) errno = ENOSPC;  // of a write that is short
  bool is_written = fd >= 0 && ::write(fd, content.data(), content.size()) == std::ssize(content) &&
                    ::fsync(fd) == 0 && ::fstat(fd, &info) == 0;
  int why = errno;
  const auto judge = [&](int result) {
    if (is_written && result != 0) why = errno;
    is_written = is_written && result == 0;
  };
  if (fd >= 0) judge(::close(fd));
  if (is_written) judge(::rename(partial.c_str(), path.c_str()));
  if (!is_written) {
    if (fd >= 0) ::unlink(partial.c_str());
    return absl::Status(absl::ErrnoToStatusCode(why),
                        absl::StrCat("cannot write ", path, ": ", std::strerror(why)));
  }
  if ((info.st_mode & 077) != 0) {
    LogWarning("others can read ", path, ": this file system does not keep files private");
  }
  return absl::OkStatus();
}

// Whether they are equal, in a time that depends on the length of `given` alone.
bool EqualsSecret(const Secret& secret, std::string_view given) {
  const std::string& value = secret.Reveal();
  if (value.empty()) return false;
  unsigned difference = value.size() == given.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |=
        static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(value[i % value.size()]);
  }
  // Read as volatile, so that the loop cannot be ended at the first difference.
  const volatile unsigned result = difference;
  return result == 0;
}

}  // namespace

absl::StatusOr<Secret> LoadSecret(const std::string& environment_variable, const std::string& file,
                                  const std::string& what) {
  if (!environment_variable.empty()) return FromEnvironment(environment_variable, what);
  if (!file.empty()) return FromFile(file, what, /*is_private=*/true);
  return Secret();
}

absl::StatusOr<Secret> LoadOrMakeSharedSecret(const std::string& path) {
  absl::StatusOr<Secret> secret =
      OneWord(FromFile(path, "token", /*is_private=*/true), path, "token");
  const absl::Status& why = secret.status();
  if (absl::IsPermissionDenied(why) || absl::IsInvalidArgument(why)) {
    LogWarning(why.message(), ": another takes its place");
  } else if (!absl::IsNotFound(why)) {
    return secret;
  }
  std::random_device device;  // the system's, 32 bits a draw
  std::string token;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&token, absl::Hex(device(), absl::kZeroPad8));
  RW_RETURN_IF_ERROR(WritePrivateFile(path, token + "\n"));
  return Secret(std::move(token));
}

absl::StatusOr<Secret> LoadSharedSecret(const std::string& path, const std::string& what) {
  return OneWord(FromFile(path, what, /*is_private=*/false), path, what);
}

std::string BearerAuthorization(const Secret& token) {
  return absl::StrCat(AbslView(kBearer), token.Reveal());
}

bool IsAuthorizedBy(const Secret& token, std::string_view authorization) {
  return absl::StartsWithIgnoreCase(AbslView(authorization), AbslView(kBearer)) &&
         EqualsSecret(token, authorization.substr(kBearer.size()));
}

}  // namespace routewright
