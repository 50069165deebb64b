// --config and --set, shared by the commands that read a run's configuration.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "launch/cli/command.h"
#include "proto/config.pb.h"

namespace routewright {

struct ConfigFlags {
  enum class Purpose { kAny, kTraining };
  std::string path;
  std::vector<std::string> overrides;
  void AddTo(CLI::App& app);  // --config FILE (required), --set a.b=v (repeatable)
  // Loads and validates; for kTraining also what a training needs. Fails with a UsageError.
  absl::StatusOr<RunConfig> Load(Purpose purpose = Purpose::kAny) const;
};

// Parses argv; returns -1 to go on, or the exit code (0 after --help, 2 after a usage
// error, already printed).
int ParseCommandLine(CLI::App& app, int argc, char** argv);
// A fault of the command line or of the configuration, as ConfigFlags::Load fails: the user's to
// mend before anything runs. kInvalidArgument, marked so that it is told from bad data in files.
bool IsUsageError(const absl::Status& status);
absl::Status UsageError(std::string_view message);
// Prints "routewright <command>: <message>" and returns the exit code for it: 2
// for a UsageError, else 1.
int PrintFailure(const char* command, const absl::Status& status);

}  // namespace routewright
