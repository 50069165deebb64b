#include "trainer/live_page/run_data.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/config/config_loader.h"
#include "common/status_macros.h"
#include "trainer/live_page/curves.h"
#include "trainer/record/metrics.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLinesNamed = 5;

// Of a file that need not be there; unset also if it cannot be read, which is then a problem.
std::optional<std::string> ReadIfThere(FileSystem& files, const std::string& path,
                                       std::vector<std::string>& problems) {
  if (!files.Exists(path)) return std::nullopt;
  auto text = files.Read(path);
  if (text.ok()) return *std::move(text);
  problems.push_back(std::string(text.status().message()));
  return std::nullopt;
}

// null if it is not there or not an object.
Json ReadObject(FileSystem& files, const std::string& folder, const std::string& name,
                std::vector<std::string>& problems) {
  const auto text = ReadIfThere(files, absl::StrCat(folder, "/", name), problems);
  if (!text.has_value()) return nullptr;
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  problems.push_back(absl::StrCat(name, " is damaged (not a JSON object) and left out"));
  return nullptr;
}

bool IsInterval(const Json& arm, const std::string& name) {
  const auto found = arm.find(name);
  return found != arm.end() && found->is_array() && found->size() == 2 && (*found)[0].is_number() &&
         (*found)[1].is_number();
}

bool IsDifference(const Json& difference) {
  return difference.is_object() && difference.contains("em") && difference["em"].is_number() &&
         difference.contains("cost_usd_per_1k") && difference["cost_usd_per_1k"].is_number() &&
         IsInterval(difference, "em_interval") &&
         IsInterval(difference, "cost_usd_per_1k_interval");
}

bool AreSources(const Json& sources) {
  if (!sources.is_object()) return false;
  for (const auto& [name, source] : sources.items()) {
    if (!source.is_object() || !source.contains("em") || !source["em"].is_number() ||
        !IsInterval(source, "em_interval") || !source.contains("cost_usd_per_1k") ||
        !source["cost_usd_per_1k"].is_number()) {
      return false;
    }
  }
  return true;
}

bool AreShares(const Json& shares) {
  return shares.is_object() && std::all_of(shares.begin(), shares.end(),
                                           [](const Json& share) { return share.is_number(); });
}

bool IsArm(const Json& arm) {
  if (!arm.is_object()) return false;
  for (const char* name : {"num_questions", "em", "f1", "cost_usd_per_1k"}) {
    if (!arm.contains(name) || !arm[name].is_number()) return false;
  }
  if (arm["num_questions"] <= 0) return false;  // its zeros would be no metrics
  if (arm.contains("trained_minus") && !IsDifference(arm["trained_minus"])) return false;
  if (arm.contains("by_source") && !AreSources(arm["by_source"])) return false;
  if (arm.contains("share") && !AreShares(arm["share"])) return false;
  return IsInterval(arm, "em_interval") && IsInterval(arm, "f1_interval") &&
         IsInterval(arm, "cost_usd_per_1k_interval");
}

Json ReadEvaluation(FileSystem& files, const std::string& folder,
                    std::vector<std::string>& problems) {
  Json report = ReadObject(files, folder, "report.json", problems);
  if (report.is_null()) return report;
  for (const auto& [name, arm] : report.items()) {
    if (IsArm(arm)) continue;
    problems.push_back(absl::StrCat("report.json is left out: its row '", name,
                                    "' is not what `routewright eval` writes; evaluate again"));
    return nullptr;
  }
  return report;
}

// Rows by step; a step that is there twice counts as it was written last.
std::map<int64_t, Metrics> ReadMetrics(FileSystem& files, const std::string& folder,
                                       std::vector<std::string>& problems) {
  std::map<int64_t, Metrics> rows;
  const auto text = ReadIfThere(files, folder + "/metrics.jsonl", problems);
  if (!text.has_value()) return rows;
  std::vector<size_t> damaged;
  size_t number = 0, repeated = 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++number;
    if (line.empty()) continue;
    auto row = ParseMetricsRow(std::string(line));
    if (!row.has_value()) {
      damaged.push_back(number);
    } else if (!rows.insert_or_assign(row->step, std::move(row->metrics)).second) {
      ++repeated;
    }
  }
  if (!damaged.empty()) {
    const size_t named = std::min(kLinesNamed, damaged.size());
    problems.push_back(absl::StrFormat(
        "metrics.jsonl: %d damaged line%s left out (%s%s)", damaged.size(),
        damaged.size() == 1 ? " is" : "s are",
        absl::StrCat("line ", absl::StrJoin(damaged.begin(), damaged.begin() + named, ", ")),
        damaged.size() > named ? ", …" : ""));
  }
  if (repeated > 0) {
    problems.push_back(absl::StrFormat(
        "metrics.jsonl: %d step%s there more than once; the last line of each counts", repeated,
        repeated == 1 ? " is" : "s are"));
  }
  return rows;
}

Json CurvesOf(const std::map<int64_t, Metrics>& rows) {
  RunCurves curves;
  for (const auto& [step, metrics] : rows) curves.Add(step, metrics);
  const auto all = [](const Curves& curves) {
    return curves.Rows(-1, std::numeric_limits<int64_t>::max(), RunCurves::kMaxRows);
  };
  return {{"stride", curves.steps().stride()},
          {"steps", all(curves.steps())},
          {"evaluations", all(curves.evaluations())}};
}

void AddConfig(FileSystem& files, const std::string& folder, RunData& run) {
  Json& data = run.json;
  data["models"] = Json::array();
  const auto yaml = ReadIfThere(files, folder + "/config.resolved.yaml", run.problems);
  if (!yaml.has_value()) {
    run.problems.push_back(
        "config.resolved.yaml is not there: models are named as metrics name them");
    return;
  }
  data["config"] = *yaml;
  RunConfig config;
  const absl::Status status = ParseConfigYaml(*yaml, "config.resolved.yaml", {}, config);
  if (!status.ok()) {
    run.problems.push_back(absl::StrCat("config.resolved.yaml is of another program version: ",
                                        std::string(status.message())));
    return;
  }
  data["run"] = config.run().name();
  data["total_steps"] = config.trainer().steps();
  for (const PoolModelConfig& model : config.pool().models()) {
    data["models"].push_back(model.name());
  }
  run.config = std::move(config);
}

}  // namespace

absl::StatusOr<RunData> ReadRunData(FileSystem& files, const std::string& folder) {
  if (!files.Exists(folder + "/config.resolved.yaml") && !files.Exists(folder + "/metrics.jsonl")) {
    return absl::NotFoundError(
        absl::StrCat(folder,
                     " is not the folder of a run: it has neither config.resolved.yaml nor "
                     "metrics.jsonl (runs are in runs/<name>)"));
  }
  RunData run;
  run.json = {{"run", std::filesystem::weakly_canonical(folder).filename().string()},
              {"folder", folder}};
  AddConfig(files, folder, run);
  run.json["state"] = ReadObject(files, folder, "learner.json", run.problems);
  run.json["environment"] = ReadObject(files, folder, "environment.json", run.problems);
  run.json["curves"] = CurvesOf(ReadMetrics(files, folder, run.problems));
  run.json["evaluation"] = ReadEvaluation(files, folder, run.problems);
  return run;
}

}  // namespace routewright
