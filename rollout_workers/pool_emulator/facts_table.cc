#include "rollout_workers/pool_emulator/facts_table.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/absl_view.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSubjectMark = "{subject}";

// A line's string member, empty if it is absent; nullopt if it is something else than a string.
std::optional<std::string> StringMember(const Json& line, const char* name) {
  const auto member = line.find(name);
  if (member == line.end()) return std::string();
  if (!member->is_string()) return std::nullopt;
  return member->get<std::string>();
}

absl::StatusOr<QuestionForm> ParseForm(const Json& question) {
  if (!question.is_string()) return absl::InvalidArgumentError("\"questions\" must hold strings");
  const std::string text = question.get<std::string>();
  const std::string key = SubjectKey(text);
  const size_t mark = key.find(kSubjectMark);
  if (mark == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("the question \"", text, "\" lacks {subject}"));
  }
  QuestionForm form;
  form.before = key.substr(0, mark);
  form.after = key.substr(mark + kSubjectMark.size());
  while (!form.after.empty() && (form.after.back() == '?' || form.after.back() == ' ')) {
    form.after.pop_back();
  }
  if (form.before.empty() && form.after.empty()) {
    return absl::InvalidArgumentError("a question needs words besides {subject}");
  }
  return form;
}

absl::StatusOr<FactsTopic> ParseTopic(const Json& line, std::string name) {
  FactsTopic topic;
  topic.name = std::move(name);
  const Json& questions = line.at("questions");
  if (!questions.is_array() || questions.empty()) {
    return absl::InvalidArgumentError("\"questions\" must be a list with at least one question");
  }
  for (const Json& question : questions) {
    RW_ASSIGN_OR_RETURN(QuestionForm form, ParseForm(question));
    topic.forms.push_back(std::move(form));
  }
  topic.sentence = StringMember(line, "sentence").value_or("");
  if (topic.sentence.find("{value}") == std::string::npos) {
    return absl::InvalidArgumentError("a topic line needs a \"sentence\" with {value}");
  }
  const std::string compute = StringMember(line, "compute").value_or("?");
  if (!compute.empty() && compute != "sum") {
    return absl::InvalidArgumentError("\"compute\" can only be \"sum\"");
  }
  topic.is_sum = compute == "sum";
  return topic;
}

absl::Status AddFact(const Json& line, FactsTopic& topic) {
  if (topic.is_sum) {
    return absl::InvalidArgumentError(
        absl::StrCat("topic \"", topic.name, "\" is computed: it takes no facts"));
  }
  const std::string subject = StringMember(line, "subject").value_or("");
  const std::string value = StringMember(line, "value").value_or("");
  if (SubjectKey(subject).empty() || value.empty()) {
    return absl::InvalidArgumentError(
        "a fact needs a non-empty \"subject\" and \"value\", both strings");
  }
  if (!topic.values.emplace(SubjectKey(subject), value).second) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", subject, "\" has a value in topic \"", topic.name, "\" already"));
  }
  return absl::OkStatus();
}

absl::Status AddLine(const std::string& text, std::vector<FactsTopic>& topics) {
  const Json line = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!line.is_object()) return absl::InvalidArgumentError("not a JSON object");
  const std::string name = StringMember(line, "topic").value_or("");
  if (name.empty()) return absl::InvalidArgumentError("\"topic\" must be a non-empty string");
  FactsTopic* known = nullptr;
  for (FactsTopic& topic : topics) {
    if (topic.name == name) known = &topic;
  }
  if (!line.contains("questions")) {
    if (known != nullptr) return AddFact(line, *known);
    return absl::InvalidArgumentError(
        absl::StrCat("a fact of topic \"", name, "\" stands before that topic's own line"));
  }
  if (known != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("topic \"", name, "\" has a line already"));
  }
  RW_ASSIGN_OR_RETURN(FactsTopic topic, ParseTopic(line, name));
  topics.push_back(std::move(topic));
  return absl::OkStatus();
}

}  // namespace

std::string CollapseWhiteSpace(std::string_view text) {
  return absl::StrJoin(
      absl::StrSplit(AbslView(text), absl::ByAnyChar(" \t\n\v\f\r"), absl::SkipEmpty()), " ");
}

std::string SubjectKey(std::string_view text) {
  return absl::AsciiStrToLower(CollapseWhiteSpace(text));
}

std::optional<int64_t> SumOf(std::string_view subject) {
  int64_t sum = 0;
  int count = 0;
  for (const absl::string_view part : absl::StrSplit(AbslView(subject), '+')) {
    const absl::string_view digits = absl::StripAsciiWhitespace(part);
    int64_t number = 0;
    for (const char c : digits) {
      if (!absl::ascii_isdigit(c)) return std::nullopt;
    }
    if (digits.size() > 18 || !absl::SimpleAtoi(digits, &number)) return std::nullopt;
    sum += number;
    if (++count > 2) return std::nullopt;
  }
  if (count != 2) return std::nullopt;
  return sum;
}

absl::StatusOr<FactsTable> FactsTable::Parse(std::string_view json_lines, std::string_view origin) {
  FactsTable table;
  int line_number = 0;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(AbslView(json_lines), '\n'))) {
    ++line_number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const absl::Status added = AddLine(line, table.topics_);
    if (!added.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(AbslView(origin), ":", line_number, ": ",
                                                     added.message(), "; see the facts format in ",
                                                     "rollout_workers/pool_emulator/README.md"));
    }
  }
  for (FactsTopic& topic : table.topics_) {
    std::set<std::string> distinct;
    for (const auto& [subject, value] : topic.values) distinct.insert(value);
    topic.distinct_values.assign(distinct.begin(), distinct.end());
    if (!topic.is_sum && distinct.size() < 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          AbslView(origin), ": topic \"", topic.name, "\" has ", distinct.size(),
          " different values; a wrong answer needs a second one, so give it at least two facts"));
    }
  }
  if (table.topics_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(origin), ": no topic in it"));
  }
  return table;
}

}  // namespace routewright
