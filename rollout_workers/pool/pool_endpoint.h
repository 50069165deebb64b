// Where a pool model is reached, resolved once from its config: address, key, name. Fails early, so
// that a bad config ends the program before anything is paid for.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/secret.h"
#include "proto/config.pb.h"
#include "rollout_workers/pool/protocols/pool_protocol.h"

namespace routewright {

struct PoolEndpoint {
  PoolModelConfig model;
  std::string base_url;  // ${NAME} replaced, without a slash at the end; safe to print
  const PoolProtocol* protocol = nullptr;  // what its server speaks
  std::string call_url;                    // base_url and the protocol's path
  std::string served_model;                // what to ask for there
  bool is_loopback = false;                // this machine: proxies are not used
  Secret api_key;                          // empty: no Authorization header
};

// Fails: kInvalidArgument for an unset ${NAME}, and for a base_url that is not
// http(s)://host[:port][/path] (user names, queries and fragments are refused: they are where keys
// leak from); LoadSecret's errors; kInvalidArgument for a key with control characters in it.
absl::StatusOr<PoolEndpoint> ResolveEndpoint(const PoolModelConfig& model);

// `text` with every occurrence of the secret replaced by ***: a server may send a key
// back. Secrets under 8 bytes
// ("EMPTY" for a server that wants none) are left: they are no secrets.
std::string Redacted(std::string_view text, const Secret& secret);

}  // namespace routewright
