// `switchyard trace`: asks a running training for a Chrome trace of its next step.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "launch/commands/commands.h"
#include "launch/commands/config_flags.h"
#include "trainer/run_folder.h"

namespace switchyard {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(200);

// When each file in the folder was written.
std::map<std::string, std::filesystem::file_time_type> WriteTimes(const std::string& folder) {
  std::map<std::string, std::filesystem::file_time_type> times;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".json") continue;
    times[entry.path().string()] = entry.last_write_time(error);
  }
  return times;
}

// "running", "finished", …
absl::StatusOr<std::string> RunState(FileSystem& files, const std::string& folder) {
  SY_ASSIGN_OR_RETURN(const std::string text, files.Read(folder + "/learner.json"));
  const auto json = nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("state") || !json["state"].is_string()) {
    return absl::DataLossError(absl::StrCat(folder, "/learner.json does not say the run's state"));
  }
  return json["state"].get<std::string>();
}

absl::Status CheckIsRunning(FileSystem& files, const std::string& folder) {
  const absl::StatusOr<std::string> state = RunState(files, folder);
  if (!state.ok()) {
    return absl::NotFoundError(absl::StrCat("no training to trace in ", folder, ": ",
                                            std::string(state.status().message())));
  }
  if (*state == "running") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the run in ", folder, " is ", *state,
                   ": only a step that is being made can be traced. A later run has its steps "
                   "traced by --set trainer.trace_steps=[3]"));
}

// The file that has come since `before`.
absl::StatusOr<std::string> WaitForTrace(
    FileSystem& files, const RunFolderFiles& run,
    const std::map<std::string, std::filesystem::file_time_type>& before) {
  while (files.Exists(run.trace_request())) {
    if (const absl::Status running = CheckIsRunning(files, run.folder()); !running.ok()) {
      files.RemoveAll(run.trace_request()).IgnoreError();
      return running;
    }
    absl::SleepFor(kLookEvery);
  }
  for (const auto& [path, time] : WriteTimes(run.traces())) {
    const auto known = before.find(path);
    if (known == before.end() || known->second != time) return path;
  }
  return absl::UnavailableError(
      absl::StrCat("the step's trace could not be written: see ", run.folder(), "/logs"));
}

absl::Status Trace(const std::string& folder) {
  FileSystem& files = FileSystem::Posix();
  const RunFolderFiles run(files, folder);
  SY_RETURN_IF_ERROR(CheckIsRunning(files, folder));
  const auto before = WriteTimes(run.traces());
  SY_RETURN_IF_ERROR(WriteFileAtomically(files, run.trace_request(), ""));
  std::fprintf(stderr,
               "asked for a trace of the next step; it comes into %s, also if this command ends\n",
               run.traces().c_str());
  SY_ASSIGN_OR_RETURN(const std::string path, WaitForTrace(files, run, before));
  std::printf("%s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int RunTrace(int argc, char** argv) {
  CLI::App app(
      "Asks a running training for a trace of its next step, over its ranks, workers and pool, and "
      "waits for it. The file opens in Perfetto (ui.perfetto.dev) or chrome://tracing, and holds "
      "times and counts, no text of episodes. trainer.trace_steps asks for steps beforehand.",
      "switchyard trace");
  app.footer("example:\n  switchyard trace runs/quickstart");
  std::string folder;
  app.add_option("run", folder, "the run's folder")->required();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const absl::Status status = Trace(folder);
  return status.ok() ? kExitOk : ReportFailure("trace", status);
}

}  // namespace switchyard
