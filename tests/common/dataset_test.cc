#include "common/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetTest : public testing::Test {
 protected:
  DatasetTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dataset_test_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~DatasetTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  absl::Status Failure(const std::string& content) {
    return LoadQuestions(Write("bad.jsonl", content), "", 0).status();
  }

  std::string folder_;
};

TEST_F(DatasetTest, ReadsItsOwnForm) {
  const std::string path = Write(
      "facts.jsonl",
      R"({"id":"a1","question":"Q?","golden_answers":["x","y"],"data_source":"geo","hops":2})");
  const auto questions = LoadQuestions(path, "", 0);
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 1u);
  const Question& question = questions->front();
  EXPECT_EQ(question.id(), "a1");
  EXPECT_EQ(question.question(), "Q?");
  EXPECT_THAT(question.golden_answers(), ElementsAre("x", "y"));
  EXPECT_EQ(question.data_source(), "geo");
  EXPECT_EQ(question.hops(), 2);
}

TEST_F(DatasetTest, ReadsNqOpenAndNamesRowsBySourceAndLine) {
  const std::string path = Write("NQ-open.dev.jsonl",
                                 "{\"question\": \"a\", \"answer\": [\"1\", "
                                 "\"2\"]}\n\n{\"question\": \"b\", \"answer\": [\"3\"]}\r\n");
  const auto questions = LoadQuestions(path, "", 0);
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 2u);
  EXPECT_EQ((*questions)[0].id(), "NQ-open:1");
  EXPECT_EQ((*questions)[1].id(), "NQ-open:3");
  EXPECT_THAT((*questions)[0].golden_answers(), ElementsAre("1", "2"));
  EXPECT_EQ((*LoadQuestions(path, "nq", 1))[0].id(), "nq:1");
}

TEST_F(DatasetTest, ReadsAHotpotArray) {
  const std::string path = Write(
      "hotpot.json",
      R"( [{"_id":"5a8b","question":"a","answer":"yes","type":"comparison"}, {"question":"b","answer":"no"}])");
  const auto questions = LoadQuestions(path, "", 0);
  ASSERT_TRUE(questions.ok()) << questions.status();
  ASSERT_EQ(questions->size(), 2u);
  EXPECT_EQ((*questions)[0].id(), "5a8b");
  EXPECT_EQ((*questions)[1].id(), "hotpot:2");
  EXPECT_THAT((*questions)[1].golden_answers(), ElementsAre("no"));
}

// The golden answers of a file with one row.
std::vector<std::string> GoldenAnswers(const absl::StatusOr<std::vector<Question>>& questions) {
  EXPECT_TRUE(questions.ok()) << questions.status();
  if (!questions.ok()) return {};
  const auto& answers = questions->front().golden_answers();
  return {answers.begin(), answers.end()};
}

TEST_F(DatasetTest, GoldenAnswersAreReadAsTheDatasetsPublishThem) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      // MuSiQue
      {R"({"id":"2hop__1","question":"a","answer":"Wendel","answer_aliases":["W. Wendel","Sir W."],"answerable":true})",
       {"Wendel", "W. Wendel", "Sir W."}},
      // TriviaQA
      {R"({"question":"a","question_id":"tc_1","answer":{"value":"Sunset","aliases":["Sunset Blvd","Sunset"],"type":"x"}})",
       {"Sunset", "Sunset Blvd", "Sunset"}},
      // PopQA
      {R"({"id":4222362,"question":"a","possible_answers":"[\"politician\", \"political leader\"]"})",
       {"politician", "political leader"}},
      // WebQuestions
      {R"({"question":"a","answers":["Padmé","Amidala"]})", {"Padmé", "Amidala"}},
      // FlashRAG
      {R"({"id":"test_0","question":"a","golden_answers":["14"],"metadata":{}})", {"14"}},
      {R"({"question":"a","answer":"[sic]"})", {"[sic]"}},
  };
  for (const auto& [row, answers] : cases) {
    EXPECT_EQ(GoldenAnswers(LoadQuestions(Write("row.jsonl", row), "", 0)), answers) << row;
  }
}

std::string SourceRows(const std::string& source, int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    const std::string id = source + std::to_string(i);
    rows +=
        R"({"id":")" + id + R"(","question":"q","answer":"1","data_source":")" + source + "\"}\n";
  }
  return rows;
}

// The head of seven concatenated datasets is the first of them alone.
TEST_F(DatasetTest, ALimitDrawsEvenlyOverTheSources) {
  const std::string path =
      Write("q.jsonl", SourceRows("nq", 100) + SourceRows("tqa", 50) + SourceRows("few", 2));
  const auto questions = LoadQuestions(path, "", 20);
  ASSERT_TRUE(questions.ok()) << questions.status();
  std::map<std::string, std::vector<std::string>> ids;
  for (const Question& question : *questions) ids[question.data_source()].push_back(question.id());
  EXPECT_EQ(ids["few"].size(), 2u);
  EXPECT_EQ(ids["nq"].size(), 9u);
  EXPECT_EQ(ids["tqa"].size(), 9u);
  const std::vector<std::string> head = {"nq0", "nq1", "nq2", "nq3", "nq4",
                                         "nq5", "nq6", "nq7", "nq8"};
  EXPECT_NE(ids["nq"], head);
  const auto again = LoadQuestions(path, "", 20);
  for (size_t i = 0; i < questions->size(); ++i) EXPECT_EQ((*again)[i].id(), (*questions)[i].id());
  EXPECT_EQ(LoadQuestions(path, "", 1000)->size(), 152u);
}

TEST_F(DatasetTest, WhatIsNoTextIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"PAR1\x15\x04", "is Parquet"},
      {"\x1f\x8b\x08\x01", "is gzip: unpack it"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"},
      {"<!DOCTYPE html><html>", "is a web page"},
  };
  for (const auto& [content, message] : cases) {
    EXPECT_THAT(std::string(Failure(content).message()), HasSubstr(message));
  }
}

TEST_F(DatasetTest, ABadLineIsNamedWithFileAndLine) {
  const absl::Status status = Failure("{\"question\":\"a\",\"answer\":\"1\"}\n{\"question\":\"b\"");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/bad.jsonl:2: this is no JSON"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("golden_answers"));
}

TEST_F(DatasetTest, EveryBadRowSaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([1])", "item 1: this is no JSON object"},
      {R"({"answer":"x"})", "no \"question\""},
      {R"({"question":"  ","answer":"x"})", "no \"question\""},
      {R"({"question":3,"answer":"x"})", "\"question\" is no string"},
      {R"({"question":"a"})", "no \"golden_answers\""},
      {R"({"question":"a","golden_answers":[]})", "\"golden_answers\" is empty"},
      {R"({"question":"a","golden_answers":[1]})", "a golden answer is no string"},
      {R"({"question":"a","golden_answers":{}})", "no array of strings"},
      {R"({"question":"a","answer":{"value":3}})", "\"value\" is no string"},
      {R"({"question":"a","answer":"x","answer_aliases":"y"})", "\"answer_aliases\" is no array"},
      {R"({"question":"a","answer":"['x', 'y']"})", "looks like a list but is no JSON"},
      {R"({"question":"a","answer":"[]"})", "\"answer\" is empty"},
      {R"({"question":"a","answer":" "})", "a golden answer is blank"},
      {R"({"question":"a","answer":"x","answerable":false})", "not \"answerable\""},
      {R"({"question":"a","answer":"x","id":[]})", "\"id\" is neither"},
      {R"({"question":"a","answer":"x","hops":-1})", "\"hops\" is no count"},
      {R"({"question":"a","answer":"x","hops":99999999999999})", "\"hops\" is no count"},
      {R"({"question":"a","answer":"x","data_source":1})", "\"data_source\" is no string"},
      {"{\"question\":\"\xff\",\"answer\":\"x\"}", "no JSON"},
      {"[{\"question\":\"a\"", "cut off"},
      {"", "holds no questions"},
      {"[]", "holds no questions"},
  };
  for (const auto& [content, message] : cases) {
    const absl::Status status = Failure(content);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << content;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << content;
  }
}

TEST_F(DatasetTest, AnIdThatComesTwiceIsRefused) {
  const std::string row = "{\"id\":7,\"question\":\"a\",\"answer\":\"1\"}\n";
  const absl::Status status = Failure(row + row);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("bad.jsonl:2: the id '7' was used at line 1"));
}

TEST_F(DatasetTest, AMissingFileIsNamed) {
  const absl::Status status = LoadQuestions(folder_ + "/none.jsonl", "", 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/none.jsonl"));
  EXPECT_FALSE(LoadQuestions(folder_, "", 0).ok());
}

TEST_F(DatasetTest, LoadsEveryDatasetOfAConfigInOrder) {
  DataConfig config;
  config.add_train()->set_path(Write("b.jsonl", R"({"question":"b","answer":"1"})"));
  config.add_train()->set_path(Write("a.jsonl", R"({"question":"a","answer":"1"})"));
  config.mutable_train(1)->set_data_source("named");
  const auto questions = LoadDatasets(config.train());
  ASSERT_TRUE(questions.ok()) << questions.status();
  EXPECT_EQ((*questions)[0].id(), "b:1");
  EXPECT_EQ((*questions)[1].id(), "named:1");
}

}  // namespace
}  // namespace routewright
