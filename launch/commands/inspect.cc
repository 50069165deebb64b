// `routewright inspect`: what is in a checkpoint, a policy, a weight file or a trajectory file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "launch/inspection/inspect_path.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFooter[] =
    R"(The kind is recognised by what is there. Exit code 1 if a checkpoint is damaged.

examples:
  routewright inspect runs/demo
  routewright inspect runs/demo/checkpoints/step-000100
  routewright inspect --json runs/demo/trajectories/step-000010.jsonl | jq .models)";

// A value as a cell of a table; control characters of foreign text are escaped.
std::string Cell(const Json& value) {
  if (value.is_number_float()) return absl::StrFormat("%.6g", value.get<double>());
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return value.is_string() ? text.substr(1, text.size() - 2) : text;
}

void PrintTable(const std::string& title, const Json& rows) {
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [name, value] : rows[0].items()) lines[0].push_back(name);
  for (const Json& row : rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const auto& [name, value] : row.items()) line.push_back(Cell(value));
  }
  std::vector<size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::printf("\n%s\n", title.c_str());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      const bool is_last = i + 1 == line.size();
      std::printf("  %-*s%s", is_last ? 0 : static_cast<int>(widths[i]), line[i].c_str(),
                  is_last ? "\n" : "");
    }
  }
}

void PrintReport(const Json& report) {
  for (const auto& [name, value] : report.items()) {
    if (!value.is_array()) std::printf("%-22s %s\n", name.c_str(), Cell(value).c_str());
  }
  for (const auto& [name, value] : report.items()) {
    if (value.is_array() && !value.empty()) PrintTable(name, value);
  }
}

}  // namespace

int RunInspect(int argc, char** argv) {
  CLI::App app(
      "Shows which checkpoints a run has and how good they are, or what is in a checkpoint, a "
      "policy "
      "folder, a weight file or a trajectory file.",
      "routewright inspect");
  app.footer(kFooter);
  std::string path;
  bool is_json = false;
  app.add_option("path", path, "a folder or a file")->required();
  app.add_flag("--json", is_json, "print JSON instead of a table");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::StatusOr<Json> report = InspectPath(path);
  if (!report.ok()) return PrintFailure("inspect", report.status());
  if (is_json) {
    std::printf("%s\n", report->dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    PrintReport(*report);
  }
  return report->value("state", "ok") == "ok" ? kExitOk : kExitFailed;
}

}  // namespace routewright
