// Scoring an answer: normalisation, exact match and F1 as the SQuAD-style scorers
// define them. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace routewright {

// Lower-case (Unicode full mapping, root locale) → delete ASCII punctuation → a, an, the →
// space → collapse and trim.
std::string NormalizeAnswer(std::string_view text);
// 1 if equal, normalised, to any golden answer, else 0. Reference scoring: an empty answer may
// match an empty golden one.
double ExactMatch(std::string_view prediction, std::span<const std::string> golden_answers);
// Best token-multiset F1 over the golden answers; 0 where one side is yes, no or
// noanswer and they differ.
double F1Score(std::string_view prediction, std::span<const std::string> golden_answers);

}  // namespace routewright
