#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/tokenizer/regex_translation.h"
#include "policy/tokenizer/tokenizer_json.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Json = nlohmann::json;
using Words = std::vector<std::string>;

Words Cut(const Json& steps, const std::string& text) {
  auto parsed = ParsePreTokenizer(steps);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (!parsed.ok()) return {};
  std::string storage;
  const auto pieces = PreTokenizer(*std::move(parsed)).Cut(text, storage);
  return {pieces.begin(), pieces.end()};
}

Json Bytes(bool adds_prefix_space, bool uses_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", adds_prefix_space}, {"use_regex", uses_regex}};
}

Json Then(const Json& first, const Json& second) {
  Json sequence;
  sequence["type"] = "Sequence";
  sequence["pretokenizers"] = Json::array({first, second});
  return sequence;
}

Json Split(const std::string& kind, const std::string& pattern, const std::string& behavior,
           bool is_inverted = false) {
  Json split;
  split["type"] = "Split";
  split["pattern"][kind] = pattern;
  split["behavior"] = behavior;
  split["invert"] = is_inverted;
  return split;
}

TEST(PreTokenizerTest, Gpt2KeepsASpaceWithItsWord) {
  EXPECT_THAT(Cut(Bytes(false, true), "Hello  world's 42!\n"),
              ElementsAre("Hello", " ", " world", "'s", " 42", "!", "\n"));
}

TEST(PreTokenizerTest, APrefixSpaceIsAddedOnce) {
  EXPECT_THAT(Cut(Bytes(true, true), "a b"), ElementsAre(" a", " b"));
  EXPECT_THAT(Cut(Bytes(true, true), " a"), ElementsAre(" a"));
  EXPECT_THAT(Cut(Bytes(true, true), "\na"), ElementsAre(" ", "\n", "a"));
}

TEST(PreTokenizerTest, DigitsAreCutOneByOneOrTogether) {
  const Json one = {{"type", "Digits"}, {"individual_digits", true}};
  const Json together = {{"type", "Digits"}, {"individual_digits", false}};
  EXPECT_THAT(Cut(Then(one, Bytes(false, false)), "a12\u00bdb"),
              ElementsAre("a", "1", "2", "\u00bd", "b"));
  EXPECT_THAT(Cut(Then(together, Bytes(false, false)), "a12\u00bdb"),
              ElementsAre("a", "12\u00bd", "b"));
}

// What `tokenizers` answers for the same splits.
TEST(PreTokenizerTest, EverySplitBehaviorIsHuggingFaces) {
  auto cut = [](const std::string& behavior, bool is_inverted) {
    return Cut(Then(Split("String", "-", behavior, is_inverted), Bytes(false, false)),
               "the-final--countdown-");
  };
  EXPECT_THAT(cut("Removed", false), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(cut("Isolated", false), ElementsAre("the", "-", "final", "-", "-", "countdown", "-"));
  EXPECT_THAT(cut("MergedWithPrevious", false), ElementsAre("the-", "final-", "-", "countdown-"));
  EXPECT_THAT(cut("MergedWithNext", false), ElementsAre("the", "-final", "-", "-countdown", "-"));
  EXPECT_THAT(cut("Contiguous", false), ElementsAre("the", "-", "final", "--", "countdown", "-"));
  EXPECT_THAT(cut("Removed", true), ElementsAre("-", "-", "-", "-"));
}

TEST(PreTokenizerTest, AStringIsNoPattern) {
  EXPECT_THAT(Cut(Then(Split("String", ".*", "Isolated"), Bytes(false, false)), "a.*b"),
              ElementsAre("a", ".*", "b"));
}

TEST(PreTokenizerTest, EmptyMatchesCutWithoutEnd) {
  EXPECT_THAT(Cut(Then(Split("Regex", "x*", "Isolated"), Bytes(false, false)), "\u20acxxb"),
              ElementsAre("\u20ac", "xx", "b"));
}

TEST(PreTokenizerTest, WhiteSpaceIsUnicodes) {
  const Json split = Then(Split("Regex", R"(\s)", "Removed"), Bytes(false, false));
  EXPECT_THAT(Cut(split, "a\u180eb\u0085c\u3000d"), ElementsAre("a\u180eb", "c", "d"));
}

TEST(PreTokenizerTest, KnowsLettersNewerThanPcre2s) {
  const Json split = Then(Split("Regex", R"(\p{L}+)", "Isolated"), Bytes(false, false));
  EXPECT_THAT(Cut(split, "a\U00031350\U0001e4d0."), ElementsAre("a\U00031350\U0001e4d0", "."));
}

TEST(PreTokenizerTest, APatternThatBacktracksWithoutEndStops) {
  const Json split = Then(Split("Regex", "(a+)+$b", "Isolated"), Bytes(false, false));
  const std::string text(40, 'a');
  EXPECT_THAT(Cut(split, text), ElementsAre(text));
}

TEST(PreTokenizerTest, NamesThePatternItRefuses) {
  auto error = [](const std::string& pattern) {
    const auto parsed =
        ParsePreTokenizer(Then(Split("Regex", pattern, "Isolated"), Bytes(false, false)));
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << pattern;
    return std::string(parsed.status().message());
  };
  EXPECT_THAT(error("(a"), HasSubstr("'(a' does not compile"));
  EXPECT_THAT(error(R"((a)\1)"), HasSubstr("a back reference"));
  EXPECT_THAT(error(R"(\h)"), HasSubstr("the escape \\h"));
  EXPECT_THAT(error(R"([a-z&&b])"), HasSubstr("an intersection of classes"));
  EXPECT_THAT(error(R"([a[b]])"), HasSubstr("a class inside a class"));
  EXPECT_THAT(error(R"(a{1,2}+)"), HasSubstr("possessive or lazy"));
  EXPECT_THAT(error(R"((?m:a))"), HasSubstr("a group of a kind"));
  EXPECT_THAT(error("[a"), HasSubstr("a class that is not closed"));
}

TEST(PreTokenizerTest, TranslatesWhatTheTwoLibrariesReadDifferently) {
  EXPECT_EQ(*TranslateOnigurumaPattern(R"([^\s]\v\u20AC\.\[)"),
            R"([^\p{White_Space}]\x{0B}\x{20AC}\.\[)");
  EXPECT_EQ(*TranslateOnigurumaPattern(R"((?i:'s)|a{1,3}|(?!b)c++)"), R"((?i:'s)|a{1,3}|(?!b)c++)");
}

TEST(PreTokenizerTest, ByteLevelComesLast) {
  const auto twice = ParsePreTokenizer(Then(Bytes(false, true), Bytes(false, true)));
  EXPECT_THAT(std::string(twice.status().message()), HasSubstr("its last step, and no other"));
  EXPECT_FALSE(ParsePreTokenizer(Json()).ok());
}

}  // namespace
}  // namespace routewright
