// A string that never prints: API keys. Streams, StrCat and logs show ***.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace routewright {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  bool is_empty() const { return value_.empty(); }
  // The value itself: only where it goes on the wire.
  const std::string& Reveal() const { return value_; }
  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

 private:
  std::string value_;
};

// Reads a secret from an environment variable or from a file that only its owner can read; both
// empty: an empty secret. `what` names it in errors. Fails: kNotFound if the variable is unset or
// the file missing; kPermissionDenied if others can read the file.
absl::StatusOr<Secret> LoadSecret(const std::string& environment_variable, const std::string& file,
                                  const std::string& what = "API key");

// What one user's processes show one another, in a file that they share. Makes it where there
// is none: 32 random hexadecimal digits. One that others can read, or that is none, is
// replaced, and the log says so; it also warns of a file system that lets others read all.
// Fails as the system's calls do.
absl::StatusOr<Secret> LoadOrMakeSharedSecret(const std::string& path);
// For the others of these processes. Fails: kNotFound; kInvalidArgument if it is no word.
absl::StatusOr<Secret> LoadSharedSecret(const std::string& path, const std::string& what);

// HTTP's Authorization header for a token (RFC 6750, 2.1), and whether one is for this token, told
// in a time that depends on the header's length alone. No token: never.
std::string BearerAuthorization(const Secret& token);
bool IsAuthorizedBy(const Secret& token, std::string_view authorization);

}  // namespace routewright
