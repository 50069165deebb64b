#include "trainer/experience/question_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace routewright {
namespace {

std::vector<Question> Questions(int n, const std::string& prefix = "q") {
  std::vector<Question> questions(n);
  for (int i = 0; i < n; ++i) questions[i].set_id(prefix + std::to_string(i));
  return questions;
}

std::vector<std::string> Ids(const std::vector<Question>& questions) {
  std::vector<std::string> ids;
  for (const Question& question : questions) ids.push_back(question.id());
  return ids;
}

TEST(QuestionSourceTest, APassGivesEachQuestionOnceAndPassesDiffer) {
  QuestionSource source(Questions(50), 7);
  const auto first = Ids(source.Draw(50)), second = Ids(source.Draw(50));
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 50u);
  EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), second.begin()));
  EXPECT_NE(first, second);
  EXPECT_NE(first, Ids(QuestionSource(Questions(50), 8).Draw(50)));
}

TEST(QuestionSourceTest, ARestoredCursorGoesOnWithTheNextQuestion) {
  QuestionSource whole(Questions(10), 3), resumed(Questions(10), 3);
  whole.Draw(13);
  ASSERT_TRUE(resumed.Restore(13, whole.digest()).ok());
  EXPECT_EQ(Ids(whole.Draw(20)), Ids(resumed.Draw(20)));
}

TEST(QuestionSourceTest, OtherQuestionsAreRefused) {
  QuestionSource one(Questions(10), 3), other(Questions(10, "r"), 3);
  EXPECT_TRUE(absl::IsFailedPrecondition(other.Restore(5, one.digest())));
}

// 90 questions of one source and 3 of each of two others.
std::vector<Question> Uneven() {
  std::vector<Question> questions = Questions(96);
  for (int i = 0; i < 96; ++i) questions[i].set_data_source(i < 90 ? "big" : i < 93 ? "x" : "y");
  return questions;
}

DataConfig BySource() {
  DataConfig config;
  config.set_draw(DataConfig::DRAW_SOURCES);
  return config;
}

TEST(QuestionSourceTest, ASourceComesAsOftenAsItWeighs) {
  DataConfig config = BySource();
  (*config.mutable_source_weights())["x"] = 3;
  QuestionSource source(Uneven(), 7, config);
  std::map<std::string, int> counts, of_ids;
  for (const Question& question : source.Draw(25)) {
    ++counts[question.data_source()];
    ++of_ids[question.id()];
  }
  EXPECT_EQ(counts["x"], 15);
  EXPECT_EQ(counts["big"], 5);
  EXPECT_EQ(counts["y"], 5);
  EXPECT_EQ(of_ids["q90"], 5);  // still in passes
}

TEST(QuestionSourceTest, DrawnBySourcesEachSourceComesAsOften) {
  QuestionSource source(Uneven(), 7, BySource());
  std::map<std::string, int> counts;
  std::map<std::string, int> of_ids;
  for (const Question& question : source.Draw(27)) {
    ++counts[question.data_source()];
    ++of_ids[question.id()];
  }
  EXPECT_EQ(counts["big"], 9);
  EXPECT_EQ(counts["x"], 9);
  EXPECT_EQ(counts["y"], 9);
  EXPECT_EQ(of_ids["q95"], 3);  // a pass over each source
}

TEST(QuestionSourceTest, DrawnBySourcesARestoredCursorGoesOnToo) {
  QuestionSource whole(Uneven(), 3, BySource());
  QuestionSource resumed(Uneven(), 3, BySource());
  whole.Draw(13);
  ASSERT_TRUE(resumed.Restore(13, whole.digest()).ok());
  EXPECT_EQ(Ids(whole.Draw(20)), Ids(resumed.Draw(20)));
}

// Ids are made of lines where a dataset has none: the same ids do not make the same questions.
TEST(QuestionSourceTest, OtherQuestionsUnderTheSameIdsAreRefused) {
  std::vector<Question> edited = Questions(10);
  edited[3].add_golden_answers("another");
  QuestionSource one(Questions(10), 3), other(edited, 3);
  EXPECT_TRUE(absl::IsFailedPrecondition(other.Restore(5, one.digest())));
}

}  // namespace
}  // namespace routewright
