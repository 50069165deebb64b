#include "common/network_address.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <charconv>

#include "absl/strings/ascii.h"

namespace routewright {

std::optional<NetworkAddress> ParseNetworkAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  NetworkAddress result{std::string(address.substr(0, colon)), 0};
  const char* end = address.data() + address.size();
  const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, result.port);
  if (error != std::errc() || stop != end) return std::nullopt;
  return result;
}

std::string WithoutBrackets(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

bool IsLoopbackHost(std::string_view host) {
  const std::string name = absl::AsciiStrToLower(WithoutBrackets(host));
  if (name == "localhost") return true;
  in_addr v4 = {};
  if (inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6 = {};
  return inet_pton(AF_INET6, name.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool IsLoopbackAddress(std::string_view address) {
  const std::optional<NetworkAddress> parsed = ParseNetworkAddress(address);
  return parsed.has_value() && IsLoopbackHost(parsed->host);
}

std::string HostName() {
  char name[256] = "localhost";  // HOST_NAME_MAX is 64
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::string ReachableHost(const std::string& host) {
  return host == "0.0.0.0" || host == "[::]" || host.empty() ? HostName() : host;
}

}  // namespace routewright
