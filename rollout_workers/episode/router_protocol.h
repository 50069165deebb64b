// The router protocol: from the bytes that a policy sampled in one round to the action that they
// mean. Nothing that a pool model or a user wrote comes near this parser. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/episode.pb.h"
#include "rollout_workers/episode/model_list.h"

namespace routewright {

inline constexpr char kOpenSearch[] = "<search>";
inline constexpr char kCloseSearch[] = "</search>";
inline constexpr char kCloseAnswer[] = "</answer>";

// A round's stop strings: see RoundRequest::stop_strings.
std::vector<std::string> RoundStopStrings();

// What the policy did in one round.
//   text           all bytes of the round's sampled tokens, without an end-of-sequence token at
//                  their end; any bytes
//   opened         the tag that the prompt ends in, which the round goes on from ("<think>"), or empty
//   is_last_round  calls are disabled: a search, well formed or not, is INVALID with
//                  LAST_ROUND_SEARCH
// The earliest closing tag decides, with the nearest opening tag of its name before it;
// bytes after it are ignored.
//   <answer> text </answer>         ANSWER, text trimmed
//   <search> name: query </search>  split at the first colon, both sides trimmed: SEARCH, or
//                                   INVALID, the first of
//       NO_COLON        there is none
//       PLACEHOLDER     the prompt's own words, in any case: `llm-name` or `your-query` anywhere
//                       in it, the name `model-name` or `model name`, the query `sub-question`
//       UNKNOWN_MODEL   no listed name or alias
//       EMPTY_QUERY     nothing, or white space only, after the colon
//   anything else                   INVALID, NO_TAGS
// format_faults (FormatFault, ascending, each once), of the policy's text alone:
//   NO_THINK           the round does not begin (white space aside) with
//                      <think> non-blank text </think>
//   TEXT_OUTSIDE_TAGS  text other than white space stands outside tags
//   UNBALANCED_TAGS    a tag without its partner, a tag inside a tag pair, or <information>, which
//                      is not the policy's
//   TEXT_AFTER_TAG     text other than white space follows the deciding tag
// Texts in the result are valid UTF-8: other bytes are replaced. round, first_token and
// end_token are the caller's.
Action ParseRound(std::string_view text, const ModelList& models, bool is_last_round,
                  std::string_view opened = "");

// The tag that a prompt ends in, white space aside, for the policy to go on from: some chat templates open <think>.
std::string OpenedTag(std::string_view prompt);

using ByteRange = std::pair<size_t, size_t>;  // [first, second)

// Where the text of a round that ParseRound found to be a SEARCH names the model: bytes [first, second).
ByteRange NamedModelBytes(std::string_view text);
// The bytes of `name` where it stands in the round's first search tag, complete or not: what a guide
// has written there. {0, 0}: something else stands there.
ByteRange FirstNameBytes(std::string_view text, std::string_view name);

}  // namespace routewright
