#include "trainer/live_page/run_report.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "trainer/live_page/report_html.h"
#include "trainer/live_page/run_data.h"
#include "trainer/live_page/run_groups.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

std::string Now() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

RunReport ReportOfOne(RunData run) {
  static constexpr std::string_view kScripts[] = {"format.js", "plot.js", "run_plots.js",
                                                  "report_plots.js", "report.js"};
  run.json["made"] = Now();
  run.json["problems"] = run.problems;
  return {.html = MakeReportHtml("report.html", kScripts, run.json),
          .problems = std::move(run.problems)};
}

RunReport ReportOfSeveral(std::vector<RunData> runs) {
  static constexpr std::string_view kScripts[] = {"format.js", "plot.js", "run_plots.js",
                                                  "report_plots.js", "comparison.js"};
  RunReport report;
  Json data = {{"made", Now()}, {"groups", GroupsOf(runs)}, {"runs", Json::array()}};
  for (RunData& run : runs) {
    for (const std::string& problem : run.problems) {
      report.problems.push_back(absl::StrCat(run.json["run"].get<std::string>(), ": ", problem));
    }
    run.json.erase("config");
    data["runs"].push_back(std::move(run.json));
  }
  data["problems"] = report.problems;
  report.html = MakeReportHtml("comparison.html", kScripts, data);
  return report;
}

}  // namespace

absl::StatusOr<RunReport> MakeRunReport(FileSystem& files, std::span<const std::string> folders) {
  std::vector<RunData> runs;
  for (const std::string& folder : folders) {
    RW_ASSIGN_OR_RETURN(RunData run, ReadRunData(files, folder));
    runs.push_back(std::move(run));
  }
  return runs.size() == 1 ? ReportOfOne(std::move(runs.front())) : ReportOfSeveral(std::move(runs));
}

absl::Status WriteRunReport(FileSystem& files, std::span<const std::string> folders,
                            const std::string& path) {
  RW_ASSIGN_OR_RETURN(const RunReport report, MakeRunReport(files, folders));
  for (const std::string& problem : report.problems) LogWarning("report=", path, " | ", problem);
  return WriteFileAtomically(files, path, report.html);
}

}  // namespace routewright
