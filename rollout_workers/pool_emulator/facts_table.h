// What there is to know in the emulator's world: topics, the wordings in which each may be asked
// about, and facts. Read from JSON lines (rollout_workers/pool_emulator/README.md shows the format)
// and searched by question text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace routewright {

// One wording, split around its {subject}; lower case, white space collapsed,
// without a final question mark.
struct QuestionForm {
  std::string before;
  std::string after;
};

struct FactsTopic {
  std::string name;
  std::vector<QuestionForm> forms;
  std::string sentence;                       // with {subject} and {value}
  bool is_sum = false;                        // subjects are "17 + 25", values are computed
  std::map<std::string, std::string> values;  // key of the subject (SubjectKey) → value as written
  std::vector<std::string> distinct_values;   // sorted; at least two unless is_sum
};

// A question that one of the forms asks.
struct MatchedQuestion {
  const FactsTopic* topic = nullptr;  // borrowed from the table
  std::string subject;                // as the question wrote it, trimmed
  std::string subject_key;
  std::optional<std::string> value;  // the right one; nullopt if the subject is not in the table
};

// Immutable after Parse; any thread.
class FactsTable {
 public:
  // `origin` names the text in errors, which say its line. Fails with kInvalidArgument at the first
  // bad line, a fact without its topic line before it, a fact given twice, or a topic with fewer
  // than two different values.
  static absl::StatusOr<FactsTable> Parse(std::string_view json_lines, std::string_view origin);

  // Finds the question in a message: as its last line that asks something, or anywhere in
  // it. Where several forms fit, a known subject wins over an unknown one, then the form
  // with more words of its own.
  std::optional<MatchedQuestion> Match(std::string_view message) const;

  const std::vector<FactsTopic>& topics() const { return topics_; }

 private:
  std::vector<FactsTopic> topics_;
};

// Each run of white space becomes one space; none at the ends.
std::string CollapseWhiteSpace(std::string_view text);

// The same in lower case (ASCII): how subjects and questions are compared.
std::string SubjectKey(std::string_view text);

// The value of "17 + 25" (any white space, up to 18 digits a number); nullopt if it is
// not a sum of two numbers.
std::optional<int64_t> SumOf(std::string_view subject);

}  // namespace routewright
