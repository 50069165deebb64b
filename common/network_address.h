// host:port as configs write it, whether it stays within this host, and this
// host's name. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace routewright {

struct NetworkAddress {
  std::string host;  // IPv6 in brackets, as written
  uint16_t port = 0;
};

// "127.0.0.1:0", "[::1]:80", "host.example:8080"; unset: it is not host:port.
std::optional<NetworkAddress> ParseNetworkAddress(std::string_view address);

// "[::1]" → "::1".
std::string WithoutBrackets(std::string_view host);

// 127.0.0.0/8, ::1 or localhost, with or without brackets.
bool IsLoopbackHost(std::string_view host);
// Whether the host of host:port is one.
bool IsLoopbackAddress(std::string_view address);

std::string HostName();
// What others reach a server by that listens on `host`: HostName() for "0.0.0.0", "[::]" and "".
std::string ReachableHost(const std::string& host);

}  // namespace routewright
