#include "launch/commands/config_flags.h"

#include <cstdio>

#include "common/config_loader.h"
#include "common/status_macros.h"

namespace switchyard {

void ConfigFlags::AddTo(CLI::App& app) {
  app.add_option("--config", path, "the run's configuration, YAML")->required();
  app.add_option("--set", overrides, "override one value: --set trainer.steps=10 (repeatable)")->allow_extra_args(false);
}

absl::StatusOr<RunConfig> ConfigFlags::Load() const {
  absl::StatusOr<RunConfig> config = LoadRunConfig(path, overrides);
  // A path that leads nowhere is bad usage, as a bad configuration is.
  if (absl::IsNotFound(config.status())) return absl::InvalidArgumentError(config.status().message());
  if (config.ok()) SY_RETURN_IF_ERROR(ValidateRunConfig(*config));
  return config;
}

int ParseCommandLine(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return -1;
}

int ReportFailure(const char* command, const absl::Status& status) {
  std::fprintf(stderr, "switchyard %s: %s\n", command, std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

}  // namespace switchyard
