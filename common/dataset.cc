#include "common/dataset.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/file_kind.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "common/text.h"

namespace routewright {
namespace {

using nlohmann::json;

constexpr char kRowForm[] =
    R"(a row is {"question": "…", "golden_answers": ["…"]}, with "id", "data_source" and "hops" if you like)";
constexpr int64_t kMaxHops = 1000;

absl::StatusOr<std::string> ReadDataset(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is a folder; name a dataset file in it"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const std::string message = absl::StrCat("dataset ", path, " cannot be read (",
                                             std::strerror(errno), "); check the path");
    return errno == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
  }
  std::ostringstream content;
  content << file.rdbuf();
  if (file.bad())
    return absl::UnavailableError(absl::StrCat("dataset ", path, ": reading it failed"));
  std::string text = std::move(content).str();
  if (const std::string_view kind = ForeignFileKind(text); !kind.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("dataset ", path, " ", std::string(kind)));
  }
  if (text.rfind("\xef\xbb\xbf", 0) == 0) text.erase(0, 3);  // a byte order mark
  return text;
}

// The value of the first of the keys that is there and not null.
const json* Find(const json& row, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    auto found = row.find(key);
    if (found != row.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

// Adds the strings of an array.
absl::Status AddAnswers(const json& answers, const char* key, Question& question) {
  if (!answers.is_array()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no array of strings"));
  }
  for (const json& answer : answers) {
    if (!answer.is_string()) return absl::InvalidArgumentError("a golden answer is no string");
    question.add_golden_answers(answer.get<std::string>());
  }
  return absl::OkStatus();
}

// Adds an answer that is a string; one that holds an array as JSON (PopQA) is that array.
absl::Status AddAnswer(const std::string& answer, const char* key, Question& question) {
  const std::string_view text = StripWhitespace(answer);
  if (!text.starts_with("[\"") && !text.starts_with("['") && text != "[]") {
    question.add_golden_answers(answer);
    return absl::OkStatus();
  }
  const json list = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\" is text that looks like a list but is no JSON: ",
                     std::string(text.substr(0, 60)), "; write an array"));
  }
  return AddAnswers(list, key, question);
}

absl::Status ReadGoldenAnswers(const json& row, Question& question) {
  constexpr const char* kKeys[] = {"golden_answers", "answer", "answers", "possible_answers"};
  const char* key = nullptr;
  for (const char* candidate : kKeys) {
    if (key == nullptr && Find(row, {candidate}) != nullptr) key = candidate;
  }
  if (key == nullptr) return absl::InvalidArgumentError("there is no \"golden_answers\"");
  const json& answers = row[key];
  if (answers.is_object() && Find(answers, {"value"}) != nullptr) {  // TriviaQA
    if (!answers["value"].is_string()) {
      return absl::InvalidArgumentError("the golden answer's \"value\" is no string");
    }
    question.add_golden_answers(answers["value"].get<std::string>());
    if (const json* aliases = Find(answers, {"aliases"}); aliases != nullptr) {
      RW_RETURN_IF_ERROR(AddAnswers(*aliases, "aliases", question));
    }
  } else if (answers.is_string()) {
    RW_RETURN_IF_ERROR(AddAnswer(answers.get<std::string>(), key, question));
  } else {
    RW_RETURN_IF_ERROR(AddAnswers(answers, key, question));
  }
  if (const json* aliases = Find(row, {"answer_aliases"}); aliases != nullptr) {
    RW_RETURN_IF_ERROR(AddAnswers(*aliases, "answer_aliases", question));
  }
  if (question.golden_answers().empty())
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is empty"));
  for (const std::string& answer : question.golden_answers()) {
    if (StripWhitespace(answer).empty()) {
      return absl::InvalidArgumentError("a golden answer is blank: nothing could equal it");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadText(const json& row, const char* key, std::string* value) {
  const json* found = Find(row, {key});
  if (found == nullptr) return absl::OkStatus();
  if (!found->is_string())
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no string"));
  *value = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadId(const json& row, Question& question) {
  const json* id = Find(row, {"id", "_id", "question_id"});
  if (id == nullptr) return absl::OkStatus();
  if (id->is_string()) {
    question.set_id(id->get<std::string>());
  } else if (id->is_number_integer()) {
    question.set_id(id->dump());
  } else {
    return absl::InvalidArgumentError("\"id\" is neither a string nor a whole number");
  }
  return absl::OkStatus();
}

absl::StatusOr<Question> ReadRow(const json& row, const std::string& data_source, int64_t place) {
  if (row.is_discarded()) return absl::InvalidArgumentError("this is no JSON");
  if (!row.is_object()) return absl::InvalidArgumentError("this is no JSON object");
  Question question;
  RW_RETURN_IF_ERROR(ReadText(row, "question", question.mutable_question()));
  if (StripWhitespace(question.question()).empty()) {
    return absl::InvalidArgumentError("there is no \"question\"");
  }
  if (const json* answerable = Find(row, {"answerable"});
      answerable != nullptr && *answerable == false) {
    return absl::InvalidArgumentError(
        "it says that it is not \"answerable\": leave such rows out of the file");
  }
  RW_RETURN_IF_ERROR(ReadGoldenAnswers(row, question));
  RW_RETURN_IF_ERROR(ReadText(row, "data_source", question.mutable_data_source()));
  if (question.data_source().empty()) question.set_data_source(data_source);
  RW_RETURN_IF_ERROR(ReadId(row, question));
  if (question.id().empty()) question.set_id(absl::StrCat(question.data_source(), ":", place));
  if (const json* hops = Find(row, {"hops"}); hops != nullptr) {
    const bool is_count = hops->is_number_integer() && *hops >= 0 && *hops <= kMaxHops;
    if (!is_count) return absl::InvalidArgumentError("\"hops\" is no count of calls");
    question.set_hops(hops->get<int32_t>());
  }
  return question;
}

// Collects rows; knows where each came from.
class Reader {
 public:
  Reader(std::string path, std::string data_source)
      : path_(std::move(path)), data_source_(std::move(data_source)) {}

  absl::Status Add(const json& row, const char* unit, int64_t place) {
    absl::StatusOr<Question> question = ReadRow(row, data_source_, place);
    if (!question.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Where(unit, place), ": ", question.status().message(), "; ", kRowForm));
    }
    const auto [first, is_new] = places_.emplace(question->id(), place);
    if (!is_new) {
      return absl::InvalidArgumentError(
          absl::StrCat(Where(unit, place), ": the id '", question->id(), "' was used at ", unit,
                       " ", first->second, "; ids must be unique in a file"));
    }
    questions_.push_back(*std::move(question));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Question>> Finish() {
    if (questions_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("dataset ", path_, " holds no questions; ", kRowForm));
    }
    return std::move(questions_);
  }

 private:
  // "file.jsonl:12", which editors understand, or "file.json: item 12".
  std::string Where(const std::string& unit, int64_t place) const {
    return unit == "line" ? absl::StrCat(path_, ":", place)
                          : absl::StrCat(path_, ": ", unit, " ", place);
  }

  const std::string path_;
  const std::string data_source_;
  std::unordered_map<std::string, int64_t> places_;  // id → line or item
  std::vector<Question> questions_;
};

absl::Status ReadLines(const std::string& text, Reader& reader) {
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    ++line_number;
    begin = end + 1;
    if (StripWhitespace(line).empty()) continue;
    const json row = json::parse(line, /*cb=*/nullptr, /*allow_exceptions=*/false);
    RW_RETURN_IF_ERROR(reader.Add(row, "line", line_number));
  }
  return absl::OkStatus();
}

absl::Status ReadArray(const std::string& text, const std::string& path, Reader& reader) {
  const json rows = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!rows.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the file begins like a JSON array but is none; is it cut off?"));
  }
  int64_t place = 0;
  for (const json& row : rows) {
    RW_RETURN_IF_ERROR(reader.Add(row, "item", ++place));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Question>> LoadQuestions(const std::string& path,
                                                    const std::string& data_source,
                                                    int max_questions) {
  RW_ASSIGN_OR_RETURN(const std::string text, ReadDataset(path));
  const std::string file_name = std::filesystem::path(path).filename().string();
  Reader reader(path, data_source.empty() ? file_name.substr(0, file_name.find('.')) : data_source);
  const std::string_view content = StripWhitespace(text);
  if (!content.empty() && content.front() == '[') {
    RW_RETURN_IF_ERROR(ReadArray(text, path, reader));
  } else {
    RW_RETURN_IF_ERROR(ReadLines(text, reader));
  }
  RW_ASSIGN_OR_RETURN(std::vector<Question> questions, reader.Finish());
  return max_questions > 0 ? DrawEvenly(std::move(questions), static_cast<size_t>(max_questions))
                           : std::move(questions);
}

std::vector<Question> DrawEvenly(std::vector<Question> questions, size_t count) {
  if (questions.size() <= count) return questions;
  using Place = std::pair<uint64_t, size_t>;  // a draw, and where the question stands
  std::map<std::string, std::vector<Place>> sources;
  for (size_t i = 0; i < questions.size(); ++i) {
    sources[questions[i].data_source()].emplace_back(StreamKey(0, questions[i].id(), 0), i);
  }
  for (auto& [name, places] : sources) std::sort(places.begin(), places.end());
  std::vector<size_t> drawn;
  for (size_t turn = 0; drawn.size() < count; ++turn) {
    for (const auto& [name, places] : sources) {
      if (turn < places.size() && drawn.size() < count) drawn.push_back(places[turn].second);
    }
  }
  std::sort(drawn.begin(), drawn.end());
  std::vector<Question> result;
  for (size_t place : drawn) result.push_back(std::move(questions[place]));
  return result;
}

absl::StatusOr<std::vector<Question>> LoadDatasets(
    const google::protobuf::RepeatedPtrField<DatasetConfig>& datasets) {
  std::vector<Question> all;
  for (const DatasetConfig& dataset : datasets) {
    RW_ASSIGN_OR_RETURN(
        std::vector<Question> questions,
        LoadQuestions(dataset.path(), dataset.data_source(), dataset.max_questions()));
    all.insert(all.end(), std::make_move_iterator(questions.begin()),
               std::make_move_iterator(questions.end()));
  }
  return all;
}

}  // namespace routewright
