// FactsTable::Match: every place where a form fits a line gives candidates for the
// subject; the best one is taken.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "common/absl_view.h"
#include "rollout_workers/pool_emulator/facts_table.h"

namespace routewright {
namespace {

// One line of a message, white space collapsed; `key` is the lower case of `text`, byte for byte.
struct Line {
  std::string text;
  std::string key;
};

// Bytes of UTF-8 beyond ASCII count as letters.
bool IsWordByte(char c) { return absl::ascii_isalnum(c) || static_cast<unsigned char>(c) >= 0x80; }

bool IsWordBoundary(std::string_view key, size_t place) {
  return place == 0 || place >= key.size() || !IsWordByte(key[place - 1]) ||
         !IsWordByte(key[place]);
}

// Every place at which `part` stands in `key` from `first` on, with word boundaries around it.
std::vector<size_t> PlacesOf(std::string_view part, std::string_view key, size_t first) {
  std::vector<size_t> places;
  for (size_t place = key.find(part, first); place != std::string_view::npos;
       place = key.find(part, place + 1)) {
    if (IsWordBoundary(key, place) && IsWordBoundary(key, place + part.size())) {
      places.push_back(place);
    }
  }
  return places;
}

// Where a subject may begin: after the form's first words, or, if it has none, at the
// beginning of a sentence.
std::vector<size_t> SubjectStarts(const QuestionForm& form, std::string_view key) {
  std::vector<size_t> starts;
  if (!form.before.empty()) {
    for (const size_t place : PlacesOf(form.before, key, 0)) {
      starts.push_back(place + form.before.size());
    }
    return starts;
  }
  starts.push_back(0);
  for (size_t place = 0; place + 1 < key.size(); ++place) {
    const char c = key[place];
    if ((c == '.' || c == '?' || c == '!' || c == ':') && key[place + 1] == ' ') {
      starts.push_back(place + 2);
    }
  }
  return starts;
}

// Where a subject that begins at `start` may end: before the form's last words, or, if it has
// none, with the sentence.
std::vector<size_t> SubjectEnds(const QuestionForm& form, std::string_view key, size_t start) {
  if (!form.after.empty()) return PlacesOf(form.after, key, start);
  std::vector<size_t> ends;
  for (size_t place = start; place < key.size(); ++place) {
    const char c = key[place];
    const bool ends_sentence =
        (c == '.' || c == '!') && (place + 1 == key.size() || key[place + 1] == ' ');
    if (c == '?' || ends_sentence) ends.push_back(place);
  }
  ends.push_back(key.size());
  return ends;
}

// The candidate key[start, end), unless there is no word in it or, for sums, no sum.
std::optional<MatchedQuestion> Candidate(const FactsTopic& topic, const Line& line, size_t start,
                                         size_t end) {
  MatchedQuestion match;
  match.topic = &topic;
  match.subject = std::string(absl::StripAsciiWhitespace(line.text.substr(start, end - start)));
  match.subject_key = SubjectKey(match.subject);
  if (std::none_of(match.subject_key.begin(), match.subject_key.end(), IsWordByte))
    return std::nullopt;
  if (topic.is_sum) {
    const std::optional<int64_t> sum = SumOf(match.subject_key);
    if (!sum.has_value()) return std::nullopt;
    match.value = std::to_string(*sum);
  } else if (auto known = topic.values.find(match.subject_key); known != topic.values.end()) {
    match.value = known->second;
  }
  return match;
}

// A form's first candidate with a known subject, or else its last place's shortest one.
std::optional<MatchedQuestion> MatchForm(const FactsTopic& topic, const QuestionForm& form,
                                         const Line& line) {
  std::optional<MatchedQuestion> best;
  for (const size_t start : SubjectStarts(form, line.key)) {
    bool is_first_of_start = true;
    for (const size_t end : SubjectEnds(form, line.key, start)) {
      std::optional<MatchedQuestion> match = Candidate(topic, line, start, end);
      if (!match.has_value()) continue;
      if (match->value.has_value()) return match;
      if (is_first_of_start) best = std::move(match);
      is_first_of_start = false;
    }
  }
  return best;
}

std::optional<MatchedQuestion> MatchLine(const std::vector<FactsTopic>& topics,
                                         std::string_view text) {
  Line line{CollapseWhiteSpace(text), ""};
  line.key = absl::AsciiStrToLower(line.text);
  std::optional<MatchedQuestion> best;
  size_t best_score = 0;
  constexpr size_t kKnownBonus = 1 << 20;  // longer than any form
  for (const FactsTopic& topic : topics) {
    for (const QuestionForm& form : topic.forms) {
      std::optional<MatchedQuestion> match = MatchForm(topic, form, line);
      if (!match.has_value()) continue;
      const size_t score =
          form.before.size() + form.after.size() + (match->value.has_value() ? kKnownBonus : 0);
      if (score <= best_score) continue;
      best = std::move(match);
      best_score = score;
    }
  }
  return best;
}

}  // namespace

std::optional<MatchedQuestion> FactsTable::Match(std::string_view message) const {
  const std::vector<std::string> lines = absl::StrSplit(AbslView(message), '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (std::optional<MatchedQuestion> match = MatchLine(topics_, *line)) return match;
  }
  return MatchLine(topics_, message);
}

}  // namespace routewright
