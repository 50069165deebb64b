#include "rollout_workers/episode/episode_text.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/money/money.h"
#include "common/unicode.h"

namespace routewright {
namespace {

// "EPISODE_STATUS_NO_ANSWER" → "no answer".
std::string Words(const std::string& enum_name, std::string_view prefix) {
  std::string words = absl::AsciiStrToLower(enum_name.substr(prefix.size()));
  for (char& c : words) c = c == '_' ? ' ' : c;
  return words;
}

// Control characters, of one byte and of two (U+009B begins a control sequence too), and
// bytes that are not UTF-8.
bool IsUnprintable(int32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

// Indented lines, nothing in them that a terminal would act on.
void AppendIndented(const std::string& text, std::string& out) {
  for (absl::string_view line : absl::StrSplit(absl::StripAsciiWhitespace(text), '\n')) {
    out += "    ";
    while (!line.empty()) {
      const CodePoint c = FirstCodePoint({line.data(), line.size()});
      for (const char byte : line.substr(0, c.num_bytes)) {
        if (IsUnprintable(c.value)) {
          absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(byte));
        } else {
          out += byte;
        }
      }
      line.remove_prefix(c.num_bytes);
    }
    out += '\n';
  }
}

std::string Dollars(int64_t picousd) { return absl::StrFormat("$%.8f", PicousdToUsd(picousd)); }

void AppendCall(const PoolCall& call, std::string& out) {
  absl::StrAppendFormat(&out, "  ── %s: %s, %d tokens in, %d out%s, %s, %.0f ms", call.model(),
                        Words(CallOutcome_Name(call.outcome()), "CALL_OUTCOME_"),
                        call.input_tokens(), call.output_tokens(),
                        call.is_estimated() ? " (estimated)" : "", Dollars(call.cost_picousd()),
                        call.latency_ms());
  if (call.attempts() > 1) absl::StrAppendFormat(&out, ", %d attempts", call.attempts());
  out += '\n';
  AppendIndented(call.error().empty() ? call.reply() : call.error(), out);
}

}  // namespace

std::string EpisodeToText(const Trajectory& trajectory, const Tokenizer& tokenizer) {
  const std::span<const uint32_t> ids(trajectory.token_ids().data(),
                                      static_cast<size_t>(trajectory.token_ids_size()));
  std::string text;
  int64_t cost_picousd = 0;
  std::string answer;
  for (const Action& action : trajectory.actions()) {
    absl::StrAppendFormat(&text, "round %d\n", action.round() + 1);
    AppendIndented(tokenizer.Decode(
                       ids.subspan(static_cast<size_t>(action.first_token()),
                                   static_cast<size_t>(action.end_token() - action.first_token()))),
                   text);
    if (action.kind() == ACTION_KIND_INVALID) {
      absl::StrAppendFormat(&text, "  ── not a valid action: %s\n",
                            Words(InvalidReason_Name(action.invalid_reason()), "INVALID_REASON_"));
    }
    if (action.kind() == ACTION_KIND_ANSWER) answer = action.answer();
    for (const PoolCall& call : trajectory.pool_calls()) {
      if (call.round() == action.round()) AppendCall(call, text);
    }
  }
  for (const PoolCall& call : trajectory.pool_calls()) cost_picousd += call.cost_picousd();
  const bool is_answered = trajectory.status() == EPISODE_STATUS_ANSWERED;
  absl::StrAppendFormat(
      &text, "%s\n",
      is_answered ? "answer" : Words(EpisodeStatus_Name(trajectory.status()), "EPISODE_STATUS_"));
  if (is_answered) AppendIndented(answer, text);
  const auto num_sampled =
      std::count(trajectory.provenance().begin(), trajectory.provenance().end(), PROVENANCE_POLICY);
  absl::StrAppendFormat(
      &text, "%d calls, %s, %.0f ms generating %d tokens, %.0f ms waiting for the pool\n",
      trajectory.pool_calls_size(), Dollars(cost_picousd), trajectory.generate_ms(), num_sampled,
      trajectory.pool_wait_ms());
  return text;
}

std::string CommittedEpisodeToText(const Trajectory& trajectory, const Tokenizer& tokenizer) {
  std::string text = "question\n";
  AppendIndented(trajectory.question().question(), text);
  text += "golden answers\n";
  for (const std::string& golden : trajectory.question().golden_answers()) {
    AppendIndented(golden, text);
  }
  text += EpisodeToText(trajectory, tokenizer);
  const RewardComponents& components = trajectory.components();
  absl::StrAppendFormat(&text, "reward %.3f, EM %.0f, F1 %.2f\n", trajectory.reward(),
                        components.em(), components.f1());
  return text;
}

}  // namespace routewright
