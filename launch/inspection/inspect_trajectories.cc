// What a trajectory file says: outcomes, tokens, scores, and where the calls and the money went.
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/money/money.h"
#include "common/status_macros.h"
#include "launch/inspection/inspect_path.h"
#include "proto/episode.pb.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

struct ModelTotals {
  int64_t calls = 0;
  int64_t output_tokens = 0;
  int64_t cost_picousd = 0;
};

struct Totals {
  int64_t trajectories = 0, tokens = 0, policy_tokens = 0, rounds = 0, calls = 0,
          invalid_actions = 0;
  int64_t cost_picousd = 0, well_formed = 0;
  double em = 0, f1 = 0, reward = 0;
  std::map<std::string, int64_t> groups;  // "train answered" → count
  std::map<std::string, ModelTotals> models;

  void Add(const Trajectory& trajectory) {
    ++trajectories;
    tokens += trajectory.token_ids_size();
    for (const int provenance : trajectory.provenance())
      policy_tokens += provenance == PROVENANCE_POLICY ? 1 : 0;
    rounds += trajectory.actions_size();
    invalid_actions += trajectory.invalid_actions();
    cost_picousd += trajectory.components().cost_picousd();
    well_formed += trajectory.components().format_reward() >= 0 ? 1 : 0;
    em += trajectory.components().em();
    f1 += trajectory.components().f1();
    reward += trajectory.reward();
    ++groups[absl::StrCat(Purpose_Name(trajectory.purpose()), " ",
                          EpisodeStatus_Name(trajectory.status()))];
    for (const PoolCall& call : trajectory.pool_calls()) {
      ModelTotals& model = models[call.model()];
      ++model.calls;
      ++calls;
      model.output_tokens += call.output_tokens();
      model.cost_picousd += call.cost_picousd();
    }
  }
};

// "PURPOSE_TRAIN EPISODE_STATUS_ANSWERED" as a row.
Json OutcomeRow(const std::string& group, int64_t count) {
  const size_t space = group.find(' ');
  const auto plain = [](std::string name, const std::string& prefix) {
    return absl::AsciiStrToLower(name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name);
  };
  return {{"purpose", plain(group.substr(0, space), "PURPOSE_")},
          {"status", plain(group.substr(space + 1), "EPISODE_STATUS_")},
          {"trajectories", count}};
}

Json Report(const std::string& path, const Totals& totals) {
  const double n = static_cast<double>(std::max<int64_t>(1, totals.trajectories));
  Json report;
  report["kind"] = "trajectories";
  report["path"] = path;
  report["trajectories"] = totals.trajectories;
  report["tokens"] = totals.tokens;
  report["policy_tokens"] = totals.policy_tokens;
  report["mean_rounds"] = static_cast<double>(totals.rounds) / n;
  report["mean_calls"] = static_cast<double>(totals.calls) / n;
  report["invalid_actions"] = totals.invalid_actions;
  report["share_well_formed"] = static_cast<double>(totals.well_formed) / n;
  report["mean_em"] = totals.em / n;
  report["mean_f1"] = totals.f1 / n;
  report["mean_reward"] = totals.reward / n;
  report["cost_usd"] = PicousdToUsd(totals.cost_picousd);
  report["outcomes"] = Json::array();
  for (const auto& [group, count] : totals.groups)
    report["outcomes"].push_back(OutcomeRow(group, count));
  report["models"] = Json::array();
  for (const auto& [name, model] : totals.models) {
    report["models"].push_back(
        {{"model", name},
         {"calls", model.calls},
         {"share", static_cast<double>(model.calls) / static_cast<double>(totals.calls)},
         {"output_tokens", model.output_tokens},
         {"cost_usd", PicousdToUsd(model.cost_picousd)}});
  }
  return report;
}

}  // namespace

absl::StatusOr<Json> InspectTrajectories(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  Totals totals;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    Trajectory trajectory;
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;  // a later version's fields
    const auto status = google::protobuf::util::JsonStringToMessage(line, &trajectory, options);
    if (!status.ok()) {
      return absl::DataLossError(
          absl::StrCat(path, ":", number, ": not a trajectory: ", std::string(status.message())));
    }
    totals.Add(trajectory);
  }
  return Report(path, totals);
}

}  // namespace routewright
