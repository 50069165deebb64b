#include "rollout_workers/pool_emulator/answering.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/absl_view.h"
#include "common/random.h"

namespace routewright {
namespace {

// Which random number of a stream means what.
enum Draw : uint64_t {
  kKnows = 0,
  kWrongValue = 1,
  kLatencyRadius = 2,
  kLatencyAngle = 3,
  kFirstAttempt = 16
};

constexpr size_t kMaxPieceBytes = 6;
constexpr int kFarthestWrongSum = 10;

double SkillIn(const EmulatedModelConfig& model, const std::string& topic) {
  auto skill = model.skill().find(topic);
  if (skill == model.skill().end()) skill = model.skill().find("default");
  return skill == model.skill().end() ? 0.0 : skill->second;
}

// The stream of what a model thinks about one subject.
uint64_t BeliefKey(uint64_t seed, const EmulatedModelConfig& model,
                   const MatchedQuestion& question) {
  return StreamKey(
      seed, absl::StrCat(model.name(), "\n", question.topic->name, "\n", question.subject_key), 0);
}

// The stream of what happens to one message.
uint64_t MessageKey(uint64_t seed, const EmulatedModelConfig& model, std::string_view message) {
  return StreamKey(seed, absl::StrCat(model.name(), "\n", AbslView(message)), 1);
}

// Off by 1 to kFarthestWrongSum, either way, and never negative.
std::string WrongSum(int64_t sum, uint64_t key) {
  const uint64_t draw = RandomBits(key, kWrongValue);
  const int64_t distance = 1 + static_cast<int64_t>((draw >> 1) % kFarthestWrongSum);
  const bool is_below = (draw & 1) == 0 && distance <= sum;
  return absl::StrCat(is_below ? sum - distance : sum + distance);
}

std::string WrongValue(const MatchedQuestion& question, uint64_t key) {
  if (question.topic->is_sum) return WrongSum(*SumOf(question.subject_key), key);
  const std::vector<std::string>& values = question.topic->distinct_values;
  const uint64_t draw = RandomBits(key, kWrongValue);
  if (!question.value.has_value()) return values[draw % values.size()];
  // One of the others, each as likely: skip the right value's place.
  const size_t right =
      std::lower_bound(values.begin(), values.end(), *question.value) - values.begin();
  const size_t place = draw % (values.size() - 1);
  return values[place < right ? place : place + 1];
}

}  // namespace

std::string AnswerMessage(const FactsTable& facts, uint64_t seed, const EmulatedModelConfig& model,
                          std::string_view message) {
  const std::optional<MatchedQuestion> question = facts.Match(message);
  if (!question.has_value()) return std::string(kDoNotKnow);
  const uint64_t key = BeliefKey(seed, model, *question);
  const bool knows = question->value.has_value() &&
                     RandomUniform(key, kKnows) < SkillIn(model, question->topic->name);
  return absl::StrReplaceAll(question->topic->sentence,
                             {{"{subject}", question->subject},
                              {"{value}", knows ? *question->value : WrongValue(*question, key)}});
}

absl::Duration ReplyLatency(uint64_t seed, const EmulatedModelConfig& model,
                            std::string_view message) {
  const uint64_t key = MessageKey(seed, model, message);
  // Box–Muller; 1 − u lies in (0, 1], so the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - RandomUniform(key, kLatencyRadius)));
  const double normal =
      radius * std::cos(2.0 * std::numbers::pi * RandomUniform(key, kLatencyAngle));
  return absl::Milliseconds(model.latency_median_ms() * std::exp(model.latency_sigma() * normal));
}

EmulatedFailure FailureOfAttempt(uint64_t seed, const EmulatedModelConfig& model,
                                 std::string_view message, uint64_t attempt) {
  const double draw = RandomUniform(MessageKey(seed, model, message), kFirstAttempt + attempt);
  if (draw < model.failure_rate()) return EmulatedFailure::kUnavailable;
  if (draw < model.failure_rate() + model.rate_limit_rate()) return EmulatedFailure::kRateLimited;
  return EmulatedFailure::kNone;
}

std::vector<std::string_view> SplitPieces(std::string_view text) {
  const auto is_word = [](char c) {
    return absl::ascii_isalnum(c) || static_cast<unsigned char>(c) >= 0x80;
  };
  // A byte that continues a UTF-8 character never begins a piece.
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  std::vector<std::string_view> pieces;
  size_t start = 0;
  while (start < text.size()) {
    size_t end = start;
    while (end < text.size() && absl::ascii_isspace(text[end])) ++end;
    const size_t visible = end;
    if (end < text.size() && !is_word(text[end])) {
      ++end;
    } else {
      while (end < text.size() && is_word(text[end]) &&
             (end - visible < kMaxPieceBytes || continues(text[end]))) {
        ++end;
      }
    }
    pieces.push_back(text.substr(start, end - start));
    start = end;
  }
  return pieces;
}

}  // namespace routewright
