// Observations: what the environment writes into an episode's token sequence. Two
// newlines, <information>, a body,
// </information>, two newlines; none of it is the policy's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/tokenizer.h"
#include "proto/episode.pb.h"

namespace routewright {

// Ends a text that is not whole.
inline constexpr char kTruncatedMark[] = " [truncated]";

// A reply in which none of our tags can be read. Where `<` begins one of our eight tags (think,
// search, information, answer; opening or closing; in any letter case; white space after `<` and
// `/` allowed; its `>` may be missing), one space takes the place of the white space after `<`:
// "</answer>" becomes "< /answer>". Pure.
std::string NeutraliseTags(std::string_view reply);

// The tokens of one observation. `body` is somebody else's text: its tags are neutralised, the
// tokenizer's special and added tokens in it are not recognised, and it is cut to `max_body_tokens`
// tokens, the mark "[truncated]" included, before the tags are added. Our own tags may be added
// tokens of the tokenizer. Pure.
std::vector<uint32_t> ObservationTokens(const Tokenizer& tokenizer, std::string_view body,
                                        int max_body_tokens);

// The body that tells the policy what was wrong with an invalid action; one short sentence,
// nothing of the policy's.
std::string InvalidActionBody(InvalidReason reason);

// The body in place of a reply that the model's provider refused to give.
std::string RefusedBody();

// The body where the query did not fit into the model's context.
std::string TooLongBody();

}  // namespace routewright
