#include "common/reward/reward_lines.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/money/money.h"
#include "common/reward/reference_scoring.h"
#include "common/reward/reward.h"
#include "common/status_macros.h"
#include "proto/episode.pb.h"

namespace routewright {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

std::string Dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

absl::StatusOr<std::vector<std::string>> GoldenAnswers(const Json& input) {
  const auto found = input.find("golden_answers");
  if (found == input.end() || !found->is_array())
    return Bad("needs \"golden_answers\", a list of texts");
  std::vector<std::string> answers;
  for (const Json& answer : *found) {
    if (!answer.is_string()) return Bad("has a golden answer that is no text");
    answers.push_back(answer.get<std::string>());
  }
  return answers;
}

absl::StatusOr<RewardConfig::Metric> MetricOf(const Json& input) {
  const Json metric = input.value("metric", Json("em"));
  if (metric == "em") return RewardConfig::METRIC_EM;
  if (metric == "f1") return RewardConfig::METRIC_F1;
  return Bad("has a \"metric\" that is neither \"em\" nor \"f1\"");
}

EpisodeCost CostOf(const Trajectory& trajectory, const RewardComponents& components,
                   double cost_weight) {
  return {.cost_reward = trajectory.cost_reward(),
          .usd = PicousdToUsd(ChargedPicousd(components)),
          .latency_s = trajectory.pool_wait_ms() / 1000.0,
          .cost_weight = cost_weight};
}

absl::StatusOr<double> NumberOf(const Json& input, const std::string& key) {
  const Json number = input.value(key, Json(0.0));
  if (!number.is_number()) return Bad(absl::StrCat("has a \"", key, "\" that is no number"));
  return number.get<double>();
}

}  // namespace

absl::StatusOr<std::string> ScoreReferenceLine(const std::string& line) {
  const Json input = Json::parse(line, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (input.is_discarded()) return Bad("is not valid JSON");
  if (!input.is_object()) return Bad("is not a JSON object");
  const auto response = input.find("response");
  if (response == input.end() || !response->is_string()) return Bad("needs \"response\", a text");
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> golden_answers, GoldenAnswers(input));
  RW_ASSIGN_OR_RETURN(const RewardConfig::Metric metric, MetricOf(input));
  RW_ASSIGN_OR_RETURN(const double cost_coefficient, NumberOf(input, "cost_coefficient"));
  RW_ASSIGN_OR_RETURN(const double cost_reward, NumberOf(input, "cost_reward"));
  const ReferenceScore score =
      ScoreReference(response->get_ref<const std::string&>(), golden_answers, metric,
                     cost_coefficient, cost_reward);
  OrderedJson output;
  output["answer"] = score.answer.has_value() ? OrderedJson(*score.answer) : OrderedJson();
  output["em"] = score.em;
  output["f1"] = score.f1;
  output["format_reward"] = score.format_reward;
  output["valid_routes"] = score.valid_routes;
  output["reward"] = score.reward;
  return Dump(output);
}

absl::StatusOr<std::string> ScoreStrictLine(const std::string& line, const RewardConfig& config,
                                            double cost_weight) {
  Trajectory trajectory;
  const auto parsed = google::protobuf::util::JsonStringToMessage(line, &trajectory);
  if (!parsed.ok()) {
    return Bad(absl::StrCat("is no trajectory: ", std::string(parsed.message()).substr(0, 200)));
  }
  const RewardComponents components = StrictComponents(trajectory);
  std::string status = EpisodeStatus_Name(trajectory.status());
  if (status.empty()) return Bad("is no trajectory: its status is unknown");
  OrderedJson output;
  output["episode_id"] = trajectory.episode_id();
  output["status"] = std::string(absl::StripPrefix(status, "EPISODE_STATUS_"));
  output["em"] = components.em();
  output["f1"] = components.f1();
  output["format_reward"] = components.format_reward();
  output["cost_picousd"] = components.cost_picousd();
  output["reward"] = IsScored(trajectory.status())
                         ? OrderedJson(ComposeReward(config, components,
                                                     CostOf(trajectory, components, cost_weight))
                                           .sum())
                         : OrderedJson();
  return Dump(output);
}

}  // namespace routewright
