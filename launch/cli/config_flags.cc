#include "launch/cli/config_flags.h"

#include <cstdio>

#include "absl/strings/cord.h"
#include "common/absl_view.h"
#include "common/config/config_loader.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr char kUsagePayload[] = "routewright/usage";

std::string Message(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

void ConfigFlags::AddTo(CLI::App& app) {
  app.add_option("--config", path, "the run's configuration, YAML")->required();
  app.add_option("--set", overrides,
                 "override one value: --set trainer.steps=10; null takes it back to its default; "
                 "--set @FILE: all that another file sets (repeatable, in this order)")
      ->allow_extra_args(false);
}

absl::StatusOr<RunConfig> ConfigFlags::Load(Purpose purpose) const {
  absl::StatusOr<RunConfig> config = LoadRunConfig(path, overrides);
  if (!config.ok()) return UsageError(Message(config.status()));
  if (purpose == Purpose::kTraining)
    config->mutable_trainer();  // with it come the rules for a training
  if (const absl::Status status = ValidateRunConfig(*config); !status.ok())
    return UsageError(Message(status));
  return config;
}

int ParseCommandLine(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (see --help)\n", app.get_name().c_str(), error.what());
    return kExitUsage;
  }
  return -1;
}

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(AbslView(message));
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

int PrintFailure(const char* command, const absl::Status& status) {
  std::fprintf(stderr, "routewright %s: %s\n", command, Message(status).c_str());
  return IsUsageError(status) ? kExitUsage : kExitFailed;
}

}  // namespace routewright
