#include "trainer/experience/question_source.h"

#include <gtest/gtest.h>

#include <algorithm>
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

}  // namespace
}  // namespace routewright
