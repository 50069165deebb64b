// Router-R1's published scoring (arXiv 2506.09033), on the decoded text of a response:
// for comparing with the paper's numbers. Routewright itself scores action records
// (reward.h). Pure; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/config.pb.h"

namespace routewright {

// The published pool's model that a name written by the policy means; the first rule that hits
// wins. Null: unresolvable.
std::optional<std::string> ResolveReferenceName(std::string_view name);

// Stripped text of the last <answer> pair; null without one.
std::optional<std::string> ReferenceAnswer(std::string_view response);

// 0, or −1 with any fault of format: see reference_format.cc for the list.
double ReferenceFormatReward(std::string_view response);

// Searches in order up to the first that has not exactly one colon, an empty query, a placeholder
// or an unresolvable name. Does not look at the format's verdict.
int ReferenceValidRoutes(std::string_view response);

struct ReferenceScore {
  std::optional<std::string> answer;
  double em = 0, f1 = 0;     // 0 without an answer; whatever the format
  double format_reward = 0;  // −1 or 0
  int valid_routes = 0;
  double reward = 0;
};

// Format −1 ⇒ −1. EM: correct ⇒ (1 − α) + α·cost_reward, else 0. F1: f1 > 0 ⇒ f1·(1 − α)
// + α·cost_reward, else 0.
ReferenceScore ScoreReference(std::string_view response,
                              std::span<const std::string> golden_answers,
                              RewardConfig::Metric metric, double cost_coefficient,
                              double cost_reward);

// What a call costs in the published code: output tokens alone. Dollars, as
// the price per 1M tokens is.
double ReferenceCallCost(int64_t output_tokens, double dollars_per_1m_output_tokens);

}  // namespace routewright
