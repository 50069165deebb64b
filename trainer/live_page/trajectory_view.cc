#include "trainer/live_page/trajectory_view.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/money/money.h"
#include "common/text.h"

namespace routewright {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTextBytes = 20'000;  // of one question, answer or error

// "EPISODE_STATUS_NO_ANSWER" → "no answer".
std::string Words(const std::string& enum_name, std::string_view prefix) {
  if (enum_name.size() <= prefix.size()) return "unknown";
  std::string words = absl::AsciiStrToLower(enum_name.substr(prefix.size()));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string Cut(const std::string& text) {
  return ReplaceInvalidUtf8(std::string_view(text).substr(0, kMaxTextBytes));
}

Json NumberOrNull(float value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// Whether the bytes end inside a UTF-8 character that more bytes could complete.
bool EndsInsideCharacter(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;  // a continuation: its character begins before
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back;
  }
  return false;
}

// Bytes of tokens, handed out as whole characters.
class CharacterJoiner {
 public:
  std::string Add(std::string_view bytes) {
    carried_ += bytes;
    return EndsInsideCharacter(carried_) ? "" : Take();
  }
  std::string Take() { return ReplaceInvalidUtf8(std::exchange(carried_, "")); }

 private:
  std::string carried_;
};

const char* WriterName(int provenance) {
  return provenance == PROVENANCE_POLICY   ? "policy"
         : provenance == PROVENANCE_PROMPT ? "prompt"
                                           : "observation";
}

Json ActionJson(const Action& action) {
  Json json = {{"kind", Words(ActionKind_Name(action.kind()), "ACTION_KIND_")}};
  if (action.kind() == ACTION_KIND_SEARCH) {
    json["model"] = Cut(action.model());
    json["query"] = Cut(action.query());
  }
  if (action.kind() == ACTION_KIND_INVALID) {
    json["why"] = Words(InvalidReason_Name(action.invalid_reason()), "INVALID_REASON_");
  }
  return json;
}

class Describer {
 public:
  Describer(const ShownTrajectory& shown, const Tokenizer& tokenizer)
      : trajectory_(shown.trajectory), advantages_(shown.advantages), tokenizer_(tokenizer) {
    for (const Action& action : trajectory_.actions()) actions_[action.first_token()] = &action;
  }

  Json Segments(int num_tokens) const {
    Json segments = Json::array();
    for (int first = 0; first < num_tokens;) {
      const int end = SegmentEnd(first, num_tokens);
      segments.push_back(Segment(first, end));
      first = end;
    }
    return segments;
  }

 private:
  // A segment has one writer, and of the policy's one round.
  int SegmentEnd(int first, int num_tokens) const {
    int end = first + 1;
    while (end < num_tokens && trajectory_.provenance(end) == trajectory_.provenance(first) &&
           !actions_.contains(end)) {
      ++end;
    }
    return end;
  }

  Json Segment(int first, int end) const {
    const int provenance = trajectory_.provenance(first);
    Json segment = {{"writer", WriterName(provenance)}};
    if (provenance != PROVENANCE_POLICY) {
      std::string bytes;
      for (int t = first; t < end; ++t) bytes += tokenizer_.TokenBytes(trajectory_.token_ids(t));
      segment["text"] = ReplaceInvalidUtf8(bytes);
      segment["num_tokens"] = end - first;
      return segment;
    }
    if (const auto action = actions_.find(first); action != actions_.end()) {
      segment["round"] = action->second->round() + 1;
      segment["action"] = ActionJson(*action->second);
    }
    segment["tokens"] = Json::array();
    CharacterJoiner joiner;
    for (int t = first; t < end; ++t) {
      std::string text = joiner.Add(tokenizer_.TokenBytes(trajectory_.token_ids(t)));
      if (t + 1 == end) text += joiner.Take();
      const bool has_advantage = static_cast<size_t>(t) < advantages_.size();
      segment["tokens"].push_back(
          {std::move(text),
           NumberOrNull(t < trajectory_.logprobs_size() ? trajectory_.logprobs(t) : NAN),
           has_advantage ? NumberOrNull(advantages_[static_cast<size_t>(t)]) : Json(nullptr)});
    }
    return segment;
  }

  const Trajectory& trajectory_;
  const std::vector<float>& advantages_;
  const Tokenizer& tokenizer_;
  std::map<int, const Action*> actions_;  // by first token
};

Json CallJson(const PoolCall& call) {
  return {{"round", call.round() + 1},
          {"model", Cut(call.model())},
          {"outcome", Words(CallOutcome_Name(call.outcome()), "CALL_OUTCOME_")},
          {"input_tokens", call.input_tokens()},
          {"output_tokens", call.output_tokens()},
          {"is_estimated", call.is_estimated()},
          {"cost_usd", PicousdToUsd(call.cost_picousd())},
          {"latency_ms", call.latency_ms()},
          {"attempts", call.attempts()},
          {"error", Cut(call.error())}};
}

}  // namespace

Json SummariseTrajectory(const ShownTrajectory& shown) {
  const Trajectory& trajectory = shown.trajectory;
  Json json = {{"id", Cut(trajectory.episode_id())},
               {"step", trajectory.step()},
               {"purpose", trajectory.purpose() == PURPOSE_EVAL ? "evaluation" : "training"},
               {"status", Words(EpisodeStatus_Name(trajectory.status()), "EPISODE_STATUS_")},
               {"question", Cut(trajectory.question().question())},
               {"data_source", Cut(trajectory.question().data_source())},
               {"reward", trajectory.reward()},
               {"em", trajectory.components().em()},
               {"f1", trajectory.components().f1()},
               {"rounds", trajectory.actions_size()}};
  json["answer"] = nullptr;
  for (const Action& action : trajectory.actions()) {
    if (action.kind() == ACTION_KIND_ANSWER) json["answer"] = Cut(action.answer());
  }
  int64_t cost_picousd = 0;
  json["calls"] = Json::array();
  for (const PoolCall& call : trajectory.pool_calls()) {
    cost_picousd += call.cost_picousd();
    json["calls"].push_back(Cut(call.model()));
  }
  json["cost_usd"] = PicousdToUsd(cost_picousd);
  int policy_tokens = 0;
  for (const int provenance : trajectory.provenance()) {
    policy_tokens += provenance == PROVENANCE_POLICY;
  }
  json["policy_tokens"] = policy_tokens;
  double sum = 0, count = 0;
  for (const float advantage : shown.advantages) {
    if (!std::isfinite(advantage)) continue;
    sum += advantage;
    ++count;
  }
  json["advantage"] = count > 0 ? Json(sum / count) : Json(nullptr);
  return json;
}

Json DescribeTrajectory(const ShownTrajectory& shown, const Tokenizer& tokenizer, int max_tokens) {
  const Trajectory& trajectory = shown.trajectory;
  Json json = SummariseTrajectory(shown);
  json["golden_answers"] = Json::array();
  for (const std::string& golden : trajectory.question().golden_answers()) {
    json["golden_answers"].push_back(Cut(golden));
  }
  json["worker"] = Cut(trajectory.worker_id());
  json["cost_reward"] = trajectory.cost_reward();
  json["format_reward"] = trajectory.components().format_reward();
  json["generate_ms"] = trajectory.generate_ms();
  json["pool_wait_ms"] = trajectory.pool_wait_ms();
  json["pool_calls"] = Json::array();
  for (const PoolCall& call : trajectory.pool_calls()) json["pool_calls"].push_back(CallJson(call));
  const int num_tokens = std::min(trajectory.token_ids_size(), trajectory.provenance_size());
  const int shown_tokens = std::min(num_tokens, max_tokens);
  json["segments"] = Describer(shown, tokenizer).Segments(shown_tokens);
  json["tokens_left_out"] = num_tokens - shown_tokens;
  return json;
}

}  // namespace routewright
