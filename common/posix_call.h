// What the POSIX side of the file layer shares: calls again what a signal
// interrupted, and names what failed.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"

namespace routewright {

// Calls a system call again while a signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// "cannot write to PATH: No space left on device; free space there or write elsewhere"
inline absl::Status FailedCall(std::string_view operation, const std::string& path, int error) {
  const char* remedy =
      error == ENOSPC || error == EDQUOT ? "; free space there or write elsewhere" : "";
  return absl::Status(
      absl::ErrnoToStatusCode(error),
      absl::StrCat("cannot ", AbslView(operation), " ", path, ": ", std::strerror(error), remedy));
}

}  // namespace routewright
