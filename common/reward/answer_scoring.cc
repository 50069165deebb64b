#include "common/reward/answer_scoring.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "common/unicode.h"

namespace routewright {
namespace {

bool IsAsciiPunctuation(char c) {
  return c != '\0' && std::strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c) != nullptr;
}

// Replaces every word (maximal run of IsWord) that is an article by a space.
std::string ReplaceArticles(std::string_view text) {
  std::string out;
  size_t word = 0;  // where the word began that `at` is in; == at between words
  const auto end_word = [&](size_t at) {
    const std::string_view found = text.substr(word, at - word);
    out += found == "a" || found == "an" || found == "the" ? " " : found;
  };
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint c = FirstCodePoint(text.substr(at));
    if (!IsWord(c.value)) {
      end_word(at);
      out += text.substr(at, c.num_bytes);
      word = at + c.num_bytes;
    }
    at += c.num_bytes;
  }
  end_word(at);
  return out;
}

std::vector<std::string> SplitWhitespace(std::string_view text) {
  std::vector<std::string> words(1);
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = FirstCodePoint(text.substr(at));
    if (!IsSpace(c.value)) {
      words.back() += text.substr(at, c.num_bytes);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
    at += c.num_bytes;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool IsVerdict(const std::string& normalized) {
  return normalized == "yes" || normalized == "no" || normalized == "noanswer";
}

double F1OfPair(const std::string& prediction, const std::string& golden) {
  if ((IsVerdict(prediction) || IsVerdict(golden)) && prediction != golden) return 0;
  const std::vector<std::string> predicted = SplitWhitespace(prediction),
                                 expected = SplitWhitespace(golden);
  std::map<std::string, int> left;  // golden words not yet matched
  for (const std::string& word : expected) ++left[word];
  int common = 0;
  for (const std::string& word : predicted) {
    const auto found = left.find(word);
    if (found != left.end() && found->second-- > 0) ++common;
  }
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(predicted.size());
  const double recall = static_cast<double>(common) / static_cast<double>(expected.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

std::string NormalizeAnswer(std::string_view text) {
  std::string lower = LowerCaseFull(text);
  std::erase_if(lower, IsAsciiPunctuation);
  std::string out;
  for (const std::string& word : SplitWhitespace(ReplaceArticles(lower))) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

double ExactMatch(std::string_view prediction, std::span<const std::string> golden_answers) {
  const std::string normalized = NormalizeAnswer(prediction);
  const bool is_match =
      std::any_of(golden_answers.begin(), golden_answers.end(),
                  [&](const std::string& golden) { return NormalizeAnswer(golden) == normalized; });
  return is_match ? 1 : 0;
}

double F1Score(std::string_view prediction, std::span<const std::string> golden_answers) {
  const std::string normalized = NormalizeAnswer(prediction);
  double best = 0;
  for (const std::string& golden : golden_answers)
    best = std::max(best, F1OfPair(normalized, NormalizeAnswer(golden)));
  return best;
}

}  // namespace routewright
