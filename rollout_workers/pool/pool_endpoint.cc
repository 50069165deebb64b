#include "rollout_workers/pool/pool_endpoint.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/absl_view.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/status_macros.h"
#include "rollout_workers/pool/protocols/protocols.h"

namespace routewright {
namespace {

constexpr size_t kMinSecretBytes =
    8;  // "EMPTY" and the like are no secrets, and words that a model may say

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

// One part of a URL; empty if it has none.
std::string PartOf(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, /*flags=*/0) != CURLUE_OK) return "";
  const std::string copy(text);
  curl_free(text);
  return copy;
}

// Replaces each ${NAME} by the environment variable.
absl::StatusOr<std::string> ExpandEnvironment(const std::string& text) {
  std::string expanded;
  size_t start = 0;
  for (size_t open; (open = text.find("${", start)) != std::string::npos;) {
    const size_t close = text.find('}', open);
    if (close == std::string::npos) return absl::InvalidArgumentError("a ${ without its }");
    const std::string name = text.substr(open + 2, close - open - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') {
      return absl::InvalidArgumentError(absl::StrCat(
          "the environment variable ", name, " is not set: export it",
          name == "ROUTEWRIGHT_POOL_URL" ? ", or let launch/with_pool.sh start the pool emulator"
                                         : ""));
    }
    absl::StrAppend(&expanded, text.substr(start, open - start), value);
    start = close + 1;
  }
  return expanded + text.substr(start);
}

// Checks the address and fills in what depends on it. No error shows it: what was
// refused may hold a password.
absl::Status ResolveAddress(const PoolModelConfig& model, PoolEndpoint& endpoint) {
  RW_ASSIGN_OR_RETURN(std::string address, ExpandEnvironment(model.base_url()));
  while (absl::EndsWith(address, "/")) address.pop_back();
  const UrlHandle url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, address.c_str(), CURLU_NON_SUPPORT_SCHEME) !=
      CURLUE_OK) {
    return absl::InvalidArgumentError("not a URL; it should look like http://127.0.0.1:8100/v1");
  }
  const std::string scheme = PartOf(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return absl::InvalidArgumentError("it must begin with http:// or https://");
  }
  for (const CURLUPart part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    if (PartOf(url.get(), part).empty()) continue;
    return absl::InvalidArgumentError(
        "it must not hold a user, a password, a query or a fragment; keys go into api_key_env");
  }
  endpoint.base_url = address;
  endpoint.call_url = address + endpoint.protocol->Path();
  endpoint.is_loopback = IsLoopbackHost(PartOf(url.get(), CURLUPART_HOST));
  if (scheme == "http" && !endpoint.is_loopback && !endpoint.api_key.is_empty()) {
    LogWarning("pool model ", model.name(), ": the API key goes to ", address,
               " unencrypted: use https");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PoolEndpoint> ResolveEndpoint(const PoolModelConfig& model) {
  PoolEndpoint endpoint;
  endpoint.model = model;
  endpoint.protocol = &ProtocolOf(model);
  endpoint.served_model = model.served_model().empty() ? model.name() : model.served_model();
  RW_ASSIGN_OR_RETURN(endpoint.api_key, LoadSecret(model.api_key_env(), model.api_key_file()));
  const std::string& key = endpoint.api_key.Reveal();
  if (std::any_of(key.begin(), key.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); })) {
    return absl::InvalidArgumentError(
        absl::StrCat("pool model ", model.name(),
                     ": the API key has a control character in it, such as a line's end"));
  }
  if (const absl::Status status = ResolveAddress(model, endpoint); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("pool model ", model.name(), ": base_url: ", status.message()));
  }
  return endpoint;
}

std::string Redacted(std::string_view text, const Secret& secret) {
  if (secret.Reveal().size() < kMinSecretBytes) return std::string(text);
  return absl::StrReplaceAll(AbslView(text), {{secret.Reveal(), "***"}});
}

}  // namespace routewright
