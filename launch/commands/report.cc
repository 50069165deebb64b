// `routewright report`: a run's report.html, made again from its folder; several runs beside one another.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/file_system.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "trainer/live_page/run_report.h"

namespace routewright {

namespace {

// Each once, by whatever path it is named; without the slashes at the end.
std::vector<std::string> FoldersOf(const std::vector<std::string>& words) {
  std::vector<std::string> folders;
  std::set<std::string> seen;
  for (std::string folder : words) {
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(folder, error);
    if (seen.insert(error ? folder : real.string()).second) folders.push_back(std::move(folder));
  }
  return folders;
}

std::string DefaultOutput(const std::vector<std::string>& folders) {
  const std::filesystem::path first = folders.front();
  return (folders.size() == 1 ? first / "report.html" : first.parent_path() / "comparison.html")
      .string();
}

}  // namespace

int RunReportCommand(int argc, char** argv) {
  CLI::App app(
      "Writes a run's report, one HTML file that needs nothing else: its curves, its evaluations, "
      "what it cost, its config and on what it ran. The table of `routewright eval` is in it if "
      "report.json lies in the run's folder. A finished training has written one already. Of "
      "several runs it writes one report that compares them: runs that differ in their seed alone "
      "are one curve with a band.",
      "routewright report");
  app.footer(
      "examples:\n  routewright report runs/quickstart\n"
      "  routewright report runs/mine-1 runs/mine-2 runs/mine-3 --output runs/mine.html");
  std::vector<std::string> words;
  std::string output;
  app.add_option("runs", words, "the runs' folders")->required();
  app.add_option("--output", output,
                 "the file to write; default: report.html in the run's folder, or of several runs "
                 "comparison.html beside the first one's");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const std::vector<std::string> folders = FoldersOf(words);
  if (output.empty()) output = DefaultOutput(folders);
  const absl::Status status = WriteRunReport(FileSystem::Posix(), folders, output);
  if (!status.ok()) return PrintFailure("report", status);
  std::printf("%s\n", output.c_str());
  return kExitOk;
}

}  // namespace routewright
