#include "common/text.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(TextTest, StripsUnicodeWhiteSpaceAtBothEnds) {
  EXPECT_EQ(StripWhitespace(" \t\n\v\f\r\x1c x y \xc2\xa0\xe3\x80\x80\xe2\x80\x83"), "x y");
  EXPECT_EQ(StripWhitespace(" \xe2\x80\xaf\n"), "");
  EXPECT_EQ(StripWhitespace(""), "");
}

TEST(TextTest, KeepsWhatIsNoWhiteSpace) {
  EXPECT_EQ(StripWhitespace("\xe2\x80\x8b"), "\xe2\x80\x8b");  // U+200B is no white space in Python
  EXPECT_EQ(StripWhitespace(" \xff \x80 "), "\xff \x80");      // broken bytes
  EXPECT_EQ(StripWhitespace(std::string_view("\0 a", 3)), std::string_view("\0 a", 3));
}

TEST(TextTest, LowersEveryScript) {
  EXPECT_EQ(LowerCase("LLM-Name ÉΣЖ"), "llm-name éσж");
  EXPECT_EQ(LowerCase("A\xffZ"), "a\xffz");
}

TEST(TextTest, BrokenUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(ReplaceInvalidUtf8("a\xffz\xc3"), "a\xef\xbf\xbdz\xef\xbf\xbd");
  EXPECT_EQ(ReplaceInvalidUtf8("\xed\xa0\x80"),
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
  EXPECT_EQ(ReplaceInvalidUtf8("naïve 漢字 🙂"), "naïve 漢字 🙂");
}

}  // namespace
}  // namespace routewright
