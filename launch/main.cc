// The `routewright` program: finds the command by name and runs it.
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>

#include "launch/cli/command.h"
#include "launch/cli/version.h"
#include "launch/commands/commands.h"

namespace routewright {
namespace {

int PrintUsage(std::FILE* out) {
  std::fprintf(out, "usage: routewright <command> [options]\n\ncommands:\n");
  for (const Command& command : Commands()) {
    std::fprintf(out, "  %-10s %s\n", command.name, command.summary);
  }
  std::fprintf(out, "\nroutewright <command> --help shows a command's options and an example.\n");
  return out == stdout ? kExitOk : kExitUsage;
}

int Run(int argc, char** argv) {
  if (argc < 2) return PrintUsage(stderr);
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0)
    return PrintUsage(stdout);
  if (std::strcmp(argv[1], "--version") == 0) {
    std::printf("routewright %s\n", CodeVersion());
    return kExitOk;
  }
  for (const Command& command : Commands()) {
    if (std::strcmp(argv[1], command.name) == 0) return command.run(argc - 1, argv + 1);
  }
  std::fprintf(stderr, "routewright: there is no command '%s'\n", argv[1]);
  return PrintUsage(stderr);
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  try {
    return routewright::Run(argc, argv);
  } catch (const std::exception& error) {  // LibTorch throws; nothing of ours does
    std::fprintf(stderr, "routewright: %s\n", error.what());
    return routewright::kExitFailed;
  }
}
