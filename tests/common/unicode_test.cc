#include "common/unicode.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(UnicodeTest, CodePointsAreReadAndWritten) {
  EXPECT_EQ(FirstCodePoint("é").value, 0xE9);
  EXPECT_EQ(FirstCodePoint("😀x").num_bytes, 4u);
  EXPECT_EQ(FirstCodePoint("\xff\xff").value, kNoCodePoint);
  EXPECT_EQ(FirstCodePoint("\xff\xff").num_bytes, 1u);
  EXPECT_EQ(FirstCodePoint("\xed\xa0\x80").value, kNoCodePoint);  // a surrogate
  std::string out;
  AppendCodePoint(out, 0x1F600);
  EXPECT_EQ(out, "😀");
}

TEST(UnicodeTest, WhiteSpaceIsPythons) {
  for (int32_t c : {0x09, 0x0D, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x2000, 0x200A, 0x2028,
                    0x202F, 0x205F, 0x3000}) {
    EXPECT_TRUE(IsSpace(c)) << c;
  }
  for (int32_t c : {0x00, 0x08, 0x0E, 0x1B, 0x180E, 0x200B, 0x2060, 0xFEFF, kNoCodePoint})
    EXPECT_FALSE(IsSpace(c)) << c;
}

TEST(UnicodeTest, WordsAreLettersNumbersOfAnyCategoryAndUnderscore) {
  for (int32_t c :
       {0x61, 0x5A, 0x30, 0x5F, 0xAA, 0xBD, 0xB2, 0x2163, 0x0663, 0x4E2D, 0x2B0, 0x1C5}) {
    EXPECT_TRUE(IsWord(c)) << c;
  }
  for (int32_t c : {0x2D, 0x20, 0x301, 0xE31, 0x200D, 0x2019, 0x20AC, kNoCodePoint})
    EXPECT_FALSE(IsWord(c)) << c;
}

// What Python 3.11 gives for each of these.
TEST(UnicodeTest, LowerCaseIsTheFullMapping) {
  EXPECT_EQ(LowerCaseFull("ABC ÀÉ ЖΩ ǅ Ⅳ Ａ ẞ ß ﬁ"), "abc àé жω ǆ ⅳ ａ ß ß ﬁ");
  EXPECT_EQ(LowerCaseFull("İstanbul IĞDIR"), "i̇stanbul iğdir");
  EXPECT_EQ(LowerCaseFull("a\xffZ\xc3"), "a\xffz\xc3");
}

TEST(UnicodeTest, SigmaIsFinalAfterACasedLetterAndBeforeNone) {
  EXPECT_EQ(LowerCaseFull("ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ"), "οδυσσευς σοφος");
  EXPECT_EQ(LowerCaseFull("Σ"), "σ");
  EXPECT_EQ(LowerCaseFull("1Σ"), "1σ");
  EXPECT_EQ(LowerCaseFull("ΑΣ."), "ας.");  // a full stop is case-ignorable
  EXPECT_EQ(LowerCaseFull("ΑΣ.Α"), "ασ.α");
  EXPECT_EQ(LowerCaseFull("Α.Σ"), "α.ς");
  EXPECT_EQ(LowerCaseFull("ΑΣ1"), "ας1");
  EXPECT_EQ(LowerCaseFull("Α1Σ"), "α1σ");
  EXPECT_EQ(LowerCaseFull("ΑΣ\u0301Α"), "ασ\u0301α");
  EXPECT_EQ(LowerCaseFull("ªΣ"), "ªς");  // cased, though no upper or lower case letter
  EXPECT_EQ(LowerCaseFull("ΣΣ"), "σς");
}

}  // namespace
}  // namespace routewright
