#include "rollout_workers/generator/text_guide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rollout_workers/episode/byte_tokenizer.h"

namespace routewright {
namespace {

using ::testing::Contains;
using ::testing::Not;

TextGuide Guide() { return TextGuide({.after = "<search>", .text = "Atlas:"}); }

TEST(TextGuideTest, GuidesFromTheTagToTheColonWhereverTokensEnd) {
  for (const std::vector<std::string>& tokens :
       {std::vector<std::string>{"<th", "ink>a</think><sea", "rch>", " ", "At", "las", ": who"},
        {"<search>", "Atlas:"},
        {"<search> A", "tlas", ":"},
        {"<search>", " Atlas", ": x"}}) {
    TextGuide guide = Guide();
    EXPECT_FALSE(guide.is_done());
    for (const std::string& token : tokens) guide.Append(token);
    EXPECT_TRUE(guide.is_done()) << tokens[0];
    EXPECT_TRUE(guide.due().empty());
  }
}

TEST(TextGuideTest, SaysWhatIsDue) {
  TextGuide guide = Guide();
  EXPECT_TRUE(guide.due().empty());
  guide.Append("<search>");
  EXPECT_EQ(guide.due(), "Atlas:");
  EXPECT_TRUE(guide.may_be_spaced());
  guide.Append(" ");
  EXPECT_FALSE(guide.may_be_spaced());  // else white space could go on for ever
  guide.Append("Atl");
  EXPECT_EQ(guide.due(), "as:");
}

TEST(TextGuideTest, ATokenThatRanPastTheTagAnotherWayEndsTheGuiding) {
  TextGuide guide = Guide();
  guide.Append("<search>Sage");
  EXPECT_TRUE(guide.due().empty());
  guide.Append("<search>");  // once is enough
  EXPECT_TRUE(guide.due().empty());
  EXPECT_FALSE(guide.is_done());
}

TEST(TextGuideTest, WithoutATextNothingIsGuided) {
  TextGuide guide({});
  guide.Append("<search>");
  EXPECT_TRUE(guide.due().empty());
  EXPECT_FALSE(guide.is_done());
}

TEST(TokensThatSpellTest, AreTheBeginningsOfTheTextAndWhatBeginsWithIt) {
  const ByteTokenizer tokenizer;
  const std::vector<uint32_t> spaced = TokensThatSpell(tokenizer, "</answer>", true);
  EXPECT_THAT(spaced, Contains('<'));
  EXPECT_THAT(spaced, Contains(' '));
  EXPECT_THAT(spaced, Contains(*tokenizer.TokenId("</answer>")));
  EXPECT_THAT(spaced, Contains(*tokenizer.TokenId("</answer>\n\n")));
  EXPECT_THAT(spaced, Not(Contains(*tokenizer.TokenId("<answer>"))));
  EXPECT_THAT(TokensThatSpell(tokenizer, "</answer>", false), Not(Contains(' ')));
  EXPECT_THAT(TokensThatSpell(tokenizer, "<|end|>", false), Not(Contains(ByteTokenizer::kEnd)));
}

}  // namespace
}  // namespace routewright
