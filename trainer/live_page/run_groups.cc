#include "trainer/live_page/run_groups.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/config_changes.h"
#include "common/config/config_loader.h"

namespace routewright {
namespace {

struct RunGroup {
  std::vector<size_t> runs;
  std::optional<RunConfig> config;  // without what may differ
  std::string settings;             // the same as text, to compare; empty without
};

std::optional<RunConfig> SharedConfig(const RunData& run) {
  if (!run.config.has_value()) return std::nullopt;
  RunConfig config = *run.config;
  config.mutable_run()->clear_seed();
  config.mutable_run()->set_name("any");  // a run needs one
  config.mutable_run()->clear_output_dir();
  return config;
}

std::string NameOf(const RunGroup& group, std::span<const RunData> runs) {
  std::string first = runs[group.runs.front()].json["run"];
  if (group.runs.size() == 1) return first;
  size_t common = first.size();
  for (const size_t place : group.runs) {
    const std::string name = runs[place].json["run"];
    const auto parted = std::mismatch(first.begin(), first.end(), name.begin(), name.end());
    common = std::min(common, static_cast<size_t>(parted.first - first.begin()));
  }
  // Not inside of a UTF-8 character, and without what joins a name and a number.
  while (common > 0 && common < first.size() && (first[common] & 0xc0) == 0x80) --common;
  while (common > 0 && std::string_view("-_. ").find(first[common - 1]) != std::string_view::npos)
    --common;
  return common > 0 ? first.substr(0, common) : absl::StrCat(first, " and others");
}

// What of `config` differs from the first group's settings.
nlohmann::ordered_json DifferencesOf(const RunGroup& first, const RunGroup& group) {
  if (!first.config.has_value() || !group.config.has_value()) {
    return {"its settings cannot be read"};
  }
  const auto changes = ConfigChanges(first.settings, *group.config);
  return changes.ok() ? nlohmann::ordered_json(*changes)
                      : nlohmann::ordered_json{std::string(changes.status().message())};
}

}  // namespace

nlohmann::ordered_json GroupsOf(std::span<const RunData> runs) {
  std::vector<RunGroup> groups;
  for (size_t place = 0; place < runs.size(); ++place) {
    const std::optional<RunConfig> config = SharedConfig(runs[place]);
    const std::string settings = config.has_value() ? ConfigToYaml(*config) : "";
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const RunGroup& group) {
      return config.has_value() && group.settings == settings;
    });
    if (same != groups.end()) {
      same->runs.push_back(place);
    } else {
      groups.push_back({.runs = {place}, .config = config, .settings = settings});
    }
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::set<std::string> names;
  for (const RunGroup& group : groups) {
    const std::string stem = NameOf(group, runs);
    std::string name = stem;
    for (int i = 2; !names.insert(name).second; ++i) name = absl::StrCat(stem, " (", i, ")");
    const bool is_first = &group == &groups.front();
    json.push_back({{"name", name},
                    {"runs", group.runs},
                    {"differs", is_first ? nlohmann::ordered_json::array()
                                         : DifferencesOf(groups.front(), group)}});
  }
  return json;
}

}  // namespace routewright
