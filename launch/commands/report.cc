// `routewright report`: a run's report.html, made again from its folder.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "common/file_system.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "trainer/live_page/run_report.h"

namespace routewright {

int RunReportCommand(int argc, char** argv) {
  CLI::App app(
      "Writes a run's report, one HTML file that needs nothing else: its curves, its evaluations, "
      "what it cost, its config and on what it ran. The table of `routewright eval` is in it if "
      "report.json lies in the run's folder. A finished training has written one already.",
      "routewright report");
  app.footer("example:\n  routewright report runs/quickstart");
  std::string folder, output;
  app.add_option("run", folder, "the run's folder")->required();
  app.add_option("--output", output, "the file to write; default: report.html in the run's folder");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  if (output.empty()) output = folder + "/report.html";
  const absl::Status status = WriteRunReport(FileSystem::Posix(), folder, output);
  if (!status.ok()) return PrintFailure("report", status);
  std::printf("%s\n", output.c_str());
  return kExitOk;
}

}  // namespace routewright
