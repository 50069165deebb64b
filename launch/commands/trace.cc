// `routewright trace`: asks a running training for a Chrome trace of its next step.
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
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "trainer/record/run_folder.h"

namespace routewright {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
// A network file system may show a new file later than that another is gone.
constexpr absl::Duration kFileLimit = absl::Seconds(60);

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
  RW_ASSIGN_OR_RETURN(const std::string text, files.Read(folder + "/learner.json"));
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

// The newest file that has come since `before`; empty: none has.
std::string NewestSince(const std::string& folder,
                        const std::map<std::string, std::filesystem::file_time_type>& before) {
  std::string newest;
  std::filesystem::file_time_type newest_time;
  for (const auto& [path, time] : WriteTimes(folder)) {
    const auto known = before.find(path);
    const bool is_new = known == before.end() || known->second != time;
    if (!is_new || (!newest.empty() && time < newest_time)) continue;
    newest = path;
    newest_time = time;
  }
  return newest;
}

absl::Status WaitUntilAnswered(FileSystem& files, const RunFolderFiles& run,
                               absl::Duration patience) {
  const absl::Time end = absl::Now() + patience;
  while (files.Exists(run.trace_request()) || files.Exists(run.trace_claim())) {
    absl::Status status = CheckIsRunning(files, run.folder());
    if (status.ok() && absl::Now() > end) {
      status = absl::DeadlineExceededError(
          absl::StrCat("no step was traced within ", absl::FormatDuration(patience),
                       " (--wait): is the learner of ", run.folder(), " alive?"));
    }
    if (!status.ok()) {
      files.RemoveAll(run.trace_request()).IgnoreError();
      return status;
    }
    absl::SleepFor(kLookEvery);
  }
  return absl::OkStatus();
}

absl::Status Trace(const std::string& folder, absl::Duration patience) {
  FileSystem& files = FileSystem::Posix();
  const RunFolderFiles run(files, folder);
  RW_RETURN_IF_ERROR(CheckIsRunning(files, folder));
  const auto before = WriteTimes(run.traces());
  RW_RETURN_IF_ERROR(WriteFileAtomically(files, run.trace_request(), ""));
  std::fprintf(stderr,
               "asked for a trace of the next step; it comes into %s, also if this command ends\n",
               run.traces().c_str());
  RW_RETURN_IF_ERROR(WaitUntilAnswered(files, run, patience));
  std::string path;
  const absl::Time end = absl::Now() + kFileLimit;
  while ((path = NewestSince(run.traces(), before)).empty()) {
    if (absl::Now() > end) {
      return absl::UnavailableError(
          absl::StrCat("the step's trace could not be written: see ", run.folder(), "/logs"));
    }
    absl::SleepFor(kLookEvery);
  }
  std::printf("%s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int RunTrace(int argc, char** argv) {
  CLI::App app(
      "Asks a running training for a trace of its next step, over its ranks, workers and pool, and "
      "waits for it. The file opens in Perfetto (ui.perfetto.dev) or chrome://tracing, and holds "
      "times and counts, no text of episodes. trainer.trace_steps asks for steps beforehand.",
      "routewright trace");
  app.footer("example:\n  routewright trace runs/quickstart");
  std::string folder;
  app.add_option("run", folder, "the run's folder")->required();
  double wait_s = 600;
  app.add_option("--wait", wait_s, "seconds after which the request is taken back")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const absl::Status status = Trace(folder, absl::Seconds(wait_s));
  return status.ok() ? kExitOk : PrintFailure("trace", status);
}

}  // namespace routewright
