#include "launch/cli/serve_page.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/network_address.h"
#include "common/secret.h"
#include "common/status_macros.h"
#include "launch/cli/config_flags.h"

namespace routewright {
namespace {

// Of the page that this run had last; 0: it had none.
int LastPort(const std::string& path) {
  if (!FileSystem::Posix().Exists(path)) return 0;
  const auto text = FileSystem::Posix().Read(path);
  if (!text.ok()) return 0;
  std::string url(absl::StripAsciiWhitespace(*text));
  while (url.ends_with('/')) url.pop_back();
  const auto address = ParseNetworkAddress(url);
  return address.has_value() ? address->port : 0;
}

// How a page on loopback is reached from the machine before which a person sits.
std::string TunnelHint(const std::string& listen_address, int port) {
  const char* const signs[] = {"SSH_CONNECTION", "SLURM_JOB_ID", "ROUTEWRIGHT_IN_JOB"};
  const bool is_remote = std::any_of(std::begin(signs), std::end(signs),
                                     [](const char* name) { return std::getenv(name) != nullptr; });
  if (!is_remote || !IsLoopbackAddress(listen_address)) return "";
  return absl::StrCat(" (from your machine: ssh -N -L ", port, ":127.0.0.1:", port, " ", HostName(),
                      ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<PageServer>> ServePage(const RunConfig& config, LiveState* state,
                                                      std::FILE* out) {
  const LivePageConfig& page = config.trainer().live_page();
  if (!page.serve()) return nullptr;
  const auto token = LoadSecret(page.token_env(), page.token_file(), "live page's token");
  if (!token.ok()) {
    return UsageError(absl::StrCat("trainer.live_page: ", std::string(token.status().message())));
  }
  const std::string path = RunFolder(config) + "/live_page.url";
  auto server = PageServer::Start(
      {.listen_address = page.listen_address(), .preferred_port = LastPort(path), .token = *token},
      state);
  if (absl::IsUnavailable(server.status())) {
    LogWarning("trainer.live_page: ", server.status().message(), " | training goes on without it");
    return nullptr;
  }
  if (!server.ok()) {
    return UsageError(absl::StrCat("trainer.live_page: ", std::string(server.status().message())));
  }
  RW_RETURN_IF_ERROR(FileSystem::Posix().CreateFolders(RunFolder(config)));
  RW_RETURN_IF_ERROR(
      WriteFileAtomically(FileSystem::Posix(), path, absl::StrCat((*server)->url(), "\n")));
  std::fprintf(out, "the run's page: %s%s%s\n", (*server)->url().c_str(),
               token->is_empty() ? "" : " (it asks for the token)",
               TunnelHint(page.listen_address(), (*server)->port()).c_str());
  std::fflush(out);
  return server;
}

}  // namespace routewright
