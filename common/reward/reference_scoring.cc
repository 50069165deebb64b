#include "common/reward/reference_scoring.h"

#include "common/reward/answer_scoring.h"
#include "common/reward/tag_scan.h"
#include "common/text.h"
#include "common/unicode.h"

namespace routewright {
namespace {

std::optional<std::string> ResolveLlama(std::string_view lower) {
  const auto has = [&](std::string_view part) {
    return lower.find(part) != std::string_view::npos;
  };
  if (has("70b")) return "LLaMA-3.1-70B";
  if (has("51b")) return "Nemotron-51B";
  if (has("49b")) return "Nemotron-49B";
  if (has("8b")) return has("chatqa") ? "ChatQA-8B" : "LLaMA-3.1-8B";
  return std::nullopt;
}

double ComposeReference(const ReferenceScore& score, RewardConfig::Metric metric, double alpha,
                        double cost_reward) {
  if (score.format_reward < 0) return -1;
  const double value = metric == RewardConfig::METRIC_F1 ? score.f1 : score.em;
  return value > 0 ? value * (1 - alpha) + alpha * cost_reward : 0;
}

}  // namespace

std::optional<std::string> ResolveReferenceName(std::string_view name) {
  const std::string lower = LowerCaseFull(name);
  const auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
  if (has("qwen")) return "Qwen2.5-7B";
  if (has("palmyra") || has("creative")) return "Palmyra-122B";
  if (has("llama")) return ResolveLlama(lower);
  if (has("mistral")) return "Mistral-7B";
  if (has("mixtral")) return "Mixtral-8x22B";
  if (has("granite")) return "Granite-8B";
  if (has("gemma")) return "Gemma-2-27B";
  return std::nullopt;
}

std::optional<std::string> ReferenceAnswer(std::string_view response) {
  static constexpr Tag kAnswerTag[] = {Tag::kAnswer};
  const std::vector<TagPair> pairs = ScanTagPairs(response, kAnswerTag);
  if (pairs.empty()) return std::nullopt;
  return std::string(StripWhitespace(pairs.back().content));
}

ReferenceScore ScoreReference(std::string_view response,
                              std::span<const std::string> golden_answers,
                              RewardConfig::Metric metric, double cost_coefficient,
                              double cost_reward) {
  ReferenceScore score;
  score.answer = ReferenceAnswer(response);
  if (score.answer.has_value()) {
    score.em = ExactMatch(*score.answer, golden_answers);
    score.f1 = F1Score(*score.answer, golden_answers);
  }
  score.format_reward = ReferenceFormatReward(response);
  score.valid_routes = ReferenceValidRoutes(response);
  score.reward = ComposeReference(score, metric, cost_coefficient, cost_reward);
  return score;
}

double ReferenceCallCost(int64_t output_tokens, double dollars_per_1m_output_tokens) {
  return static_cast<double>(output_tokens) * dollars_per_1m_output_tokens / 1e6;
}

}  // namespace routewright
