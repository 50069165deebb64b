// Who may read the page. Two dangers are met here: a web site that the reader visits and whose name
// comes to mean this host (DNS rebinding), and other people on the network. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/secret.h"

namespace routewright {

constexpr size_t kMinTokenBytes = 16;

// Fails: kInvalidArgument if a token is set that is easy to guess. No token is fine.
absl::Status CheckToken(const Secret& token);

class PageAccess {
 public:
  // `host_names`: what this host is called by, besides localhost and addresses.
  PageAccess(Secret token, std::vector<std::string> host_names);

  bool has_token() const { return !token_.is_empty(); }
  // Without a token: whether the Host header is an IP address, localhost or a name of this host; a
  // web site's name never is. With a token every host is fine, since a web site does not have it.
  bool IsHostAllowed(std::string_view host_header) const;
  // Whether the Authorization header is "Bearer <token>"; always without a token.
  bool IsAuthorized(std::string_view authorization_header) const;

 private:
  const Secret token_;
  const std::vector<std::string> host_names_;
};

}  // namespace routewright
