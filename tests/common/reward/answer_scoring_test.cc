#include "common/reward/answer_scoring.h"

#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

using Answers = std::vector<std::string>;

TEST(AnswerScoringTest, NormalizesInTheStatedOrder) {
  EXPECT_EQ(NormalizeAnswer("The U.S.A."),
            "usa");  // punctuation goes before articles are looked for
  EXPECT_EQ(NormalizeAnswer("A. P. J."), "p j");
  EXPECT_EQ(NormalizeAnswer("a.n apple"), "apple");  // deleting "." makes an article
  EXPECT_EQ(NormalizeAnswer("  Tab\tand\nnew\u2003line\u00a0 "), "tab and new line");
  EXPECT_EQ(NormalizeAnswer("the the the"), "");
  EXPECT_EQ(NormalizeAnswer("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), "");
  EXPECT_EQ(NormalizeAnswer("“quoted”"), "“quoted”");  // only ASCII punctuation is deleted
}

TEST(AnswerScoringTest, AnArticleIsAWholeWord) {
  EXPECT_EQ(NormalizeAnswer("Theatre anna a1 a² aⅣ"), "theatre anna a1 a² aⅳ");
  EXPECT_EQ(NormalizeAnswer("x-a-y"), "xay");
  EXPECT_EQ(NormalizeAnswer("a\u2019s"), "\u2019s");    // ’ is no word character
  EXPECT_EQ(NormalizeAnswer("a\u0301 b"), "\u0301 b");  // nor is a combining mark
  EXPECT_EQ(NormalizeAnswer("a_b the_end"), "ab theend");
  EXPECT_EQ(NormalizeAnswer("中a文"), "中a文");
}

TEST(AnswerScoringTest, BytesThatAreNotUtf8StayAndSeparateWords) {
  EXPECT_EQ(NormalizeAnswer("\xff"
                            "the\xff"),
            "\xff \xff");
}

TEST(AnswerScoringTest, ExactMatchEqualsAnyGoldenAnswer) {
  EXPECT_EQ(ExactMatch("the Paris!", Answers{"London", "paris"}), 1);
  EXPECT_EQ(ExactMatch("Paris", Answers{"Paris France"}), 0);
  EXPECT_EQ(ExactMatch("Paris", Answers{}), 0);
  EXPECT_EQ(ExactMatch("", Answers{"the"}), 1);  // the published rule; strict scoring refuses it
}

TEST(AnswerScoringTest, F1IsTheBestMultisetOverlap) {
  EXPECT_EQ(F1Score("Mount Everest", Answers{"x", "Everest Mount"}), 1);
  EXPECT_DOUBLE_EQ(F1Score("big big cat", Answers{"big cat"}), 2 * (2.0 / 3) * 1 / (2.0 / 3 + 1));
  EXPECT_DOUBLE_EQ(F1Score("one two", Answers{"two three four", "two three"}), 0.5);
  EXPECT_EQ(F1Score("one", Answers{"two"}), 0);
  EXPECT_EQ(F1Score("", Answers{""}), 0);
  EXPECT_EQ(F1Score("one", Answers{}), 0);
}

TEST(AnswerScoringTest, AVerdictMatchesOnlyItself) {
  EXPECT_EQ(F1Score("yes", Answers{"Yes."}), 1);
  EXPECT_EQ(F1Score("yes indeed", Answers{"yes"}), 0);
  EXPECT_EQ(F1Score("no", Answers{"no way", "way no"}), 0);
  EXPECT_EQ(F1Score("noanswer", Answers{"noanswer here"}), 0);
  EXPECT_DOUBLE_EQ(F1Score("yes indeed", Answers{"yes", "yes sir"}),
                   0.5);  // for each golden answer apart
}

}  // namespace
}  // namespace routewright
