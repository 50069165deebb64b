// routewright pool: serves the simulated models of a config until SIGINT or SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "common/file_system.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "rollout_workers/pool_emulator/emulator_server.h"

namespace routewright {
namespace {

absl::StatusOr<std::unique_ptr<EmulatorServer>> Start(const ConfigFlags& flags,
                                                      std::optional<int> port) {
  RW_ASSIGN_OR_RETURN(const RunConfig config, flags.Load());
  if (!config.has_pool_emulator()) {
    return UsageError(flags.path + " has no section pool_emulator: name its models there");
  }
  PoolEmulatorConfig emulator = config.pool_emulator();
  if (port.has_value()) emulator.set_port(*port);
  RW_ASSIGN_OR_RETURN(const std::string facts_text,
                      FileSystem::Posix().Read(emulator.facts_path()));
  RW_ASSIGN_OR_RETURN(FactsTable facts, FactsTable::Parse(facts_text, emulator.facts_path()));
  return EmulatorServer::Listen(emulator, std::move(facts));
}

// Blocks SIGINT and SIGTERM in this thread and all that it starts, so that sigwait gets them.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

}  // namespace

int RunPool(int argc, char** argv) {
  CLI::App app(
      "Serves simulated models over OpenAI's HTTP protocol: a pool for learning and testing "
      "offline.",
      "routewright pool");
  app.footer("example: routewright pool --config configs/quickstart.yaml --port 8100");
  ConfigFlags flags;
  flags.AddTo(app);
  std::optional<int> port;
  app.add_option("--port", port, "TCP port, 0 = pick one and print it; default: the config's")
      ->check(CLI::Range(0, 65535));
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;

  const sigset_t signals = BlockEndSignals();
  const auto server = Start(flags, port);
  if (!server.ok()) return PrintFailure("pool", server.status());
  std::printf("pool emulator listening on %s\n", (*server)->url().c_str());
  std::fflush(stdout);
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  // There is nothing to save, and the destructor would wait for idle connections to time out.
  std::_Exit(kExitOk);
}

}  // namespace routewright
