#include "trainer/live_page/page_access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/network_address.h"

namespace routewright {
namespace {

// "[::1]:8080" → "[::1]", "node7:80" → "node7".
std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  const std::string_view port = host.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), absl::ascii_isdigit) ? host.substr(0, colon) : host;
}

bool IsIpAddress(const std::string& host) {
  in_addr v4 = {};
  in6_addr v6 = {};
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

}  // namespace

absl::Status CheckToken(const Secret& token) {
  if (token.is_empty() || token.Reveal().size() >= kMinTokenBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the live page's token has fewer than ", kMinTokenBytes,
      " characters, so that it could be guessed: make one with: openssl rand -hex 16"));
}

PageAccess::PageAccess(Secret token, std::vector<std::string> host_names)
    : token_(std::move(token)), host_names_(std::move(host_names)) {}

bool PageAccess::IsHostAllowed(std::string_view host_header) const {
  if (has_token()) return true;
  const std::string host = WithoutBrackets(WithoutPort(host_header));
  if (IsLoopbackHost(host) || IsIpAddress(host)) return true;
  return std::any_of(host_names_.begin(), host_names_.end(),
                     [&](const std::string& name) { return absl::EqualsIgnoreCase(name, host); });
}

bool PageAccess::IsAuthorized(std::string_view authorization_header) const {
  return !has_token() || IsAuthorizedBy(token_, authorization_header);
}

}  // namespace routewright
