// `routewright doctor`: checks this machine and a config before a job is submitted.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "common/check.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/doctor/checks.h"

namespace routewright {
namespace {

const char* LevelName(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk:
      return "ok";
    case Finding::Level::kWarning:
      return "warning";
    default:
      return "failure";
  }
}

// A foreign text must not move the cursor.
std::string Printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  return text;
}

void Print(const Finding& finding, bool is_quiet) {
  if (is_quiet && finding.level == Finding::Level::kOk) return;
  std::printf("%-8s %-16s %s\n", LevelName(finding.level), finding.subject.c_str(),
              Printable(finding.text).c_str());
  if (!finding.remedy.empty()) std::printf("%-25s -> %s\n", "", finding.remedy.c_str());
  std::fflush(stdout);
}

void PrintJson(const Findings& findings) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    rows.push_back({{"level", LevelName(finding.level)},
                    {"subject", finding.subject},
                    {"text", finding.text},
                    {"remedy", finding.remedy}});
  }
  std::printf("%s\n",
              rows.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void AddDoctorFlags(CLI::App& app, DoctorOptions& options) {
  app.add_option("--ranks", options.ranks, "trainer ranks of the run")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--ranks-per-host", options.ranks_per_host,
                 "… of which so many share this machine: all")
      ->check(CLI::Range(1, 65536));
  app.add_flag("--ranks-only", options.is_ranks_only,
               "one of several hosts of ranks, without workers: leave out the pool, its keys "
               "and what is rank 0's alone");
}

}  // namespace

int RunDoctor(int argc, char** argv) {
  CLI::App app(
      "Checks a config and this machine before a job is submitted: policy, prompt, data, keys, "
      "pool, MPI, GPUs, names, ports, disk and memory, with a remedy for what is wrong. Calls each "
      "pool model once, which is paid for. The exit code is 1 if something would fail.",
      "routewright doctor");
  app.footer(
      "examples:\n"
      "  routewright doctor --config mine/run.yaml --ranks 8\n"
      "  routewright doctor --config mine/run.yaml --ranks 16 --ranks-per-host 8\n"
      "  routewright doctor --config mine/run.yaml --no-probe --quiet");
  ConfigFlags flags;
  flags.AddTo(app);
  DoctorOptions options{.ranks_per_host = 0};
  bool has_no_probe = false, is_quiet = false, is_json = false;
  AddDoctorFlags(app, options);
  app.add_flag("--no-probe", has_no_probe, "call no pool model");
  app.add_flag("--quiet", is_quiet, "say only what is wrong");
  app.add_flag("--json", is_json, "print JSON");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  SetProcessName("doctor");
  options.may_call_pool = !has_no_probe;
  if (options.ranks_per_host == 0) options.ranks_per_host = options.ranks;
  const auto config = flags.Load(ConfigFlags::Purpose::kTraining);
  if (!config.ok()) return PrintFailure("doctor", config.status());

  Findings all;
  RunChecks(*config, options, [&](Findings findings) {
    for (Finding& finding : findings) {
      if (!is_json) Print(finding, is_quiet);
      all.push_back(std::move(finding));
    }
  });
  if (is_json) PrintJson(all);
  const bool fails = std::any_of(all.begin(), all.end(), [](const Finding& finding) {
    return finding.level == Finding::Level::kFailure;
  });
  return fails ? kExitFailed : kExitOk;
}

}  // namespace routewright
