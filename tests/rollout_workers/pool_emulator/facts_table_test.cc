#include "rollout_workers/pool_emulator/facts_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rollout_workers/pool_emulator/small_world.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

FactsTable SmallWorld() { return *FactsTable::Parse(kSmallWorld, "world"); }

// "topic/subject=value" of what a message is matched to; "none" without a
// match, "?" without a value.
std::string Matched(const std::string& message) {
  const FactsTable table = SmallWorld();
  const auto match = table.Match(message);
  if (!match.has_value()) return "none";
  return match->topic->name + "/" + match->subject + "=" + match->value.value_or("?");
}

std::string ParseError(const std::string& lines) {
  const auto table = FactsTable::Parse(lines, "facts.jsonl");
  return table.ok() ? "" : std::string(table.status().message());
}

TEST(FactsTableTest, FindsEveryWordingOfATopic) {
  EXPECT_EQ(Matched("What is the capital of Peru?"), "capital/Peru=Lima");
  EXPECT_EQ(Matched("Which city is the capital of Chile?"), "capital/Chile=Santiago");
  EXPECT_EQ(Matched("Kenya has which capital?"), "capital/Kenya=Nairobi");
  EXPECT_EQ(Matched("Which currency is used in Peru?"), "currency/Peru=sol");
}

TEST(FactsTableTest, IgnoresCaseWhiteSpaceAndAMissingQuestionMark) {
  EXPECT_EQ(Matched("  what IS\tthe capital  of   peru  "), "capital/peru=Lima");
  EXPECT_EQ(Matched("What is the capital of Peru ?"), "capital/Peru=Lima");
  EXPECT_EQ(Matched("What is the capital of Peru."), "capital/Peru=Lima");
}

TEST(FactsTableTest, FindsAQuestionInsideAnInstruction) {
  EXPECT_EQ(Matched("Answer in one sentence.\nIf you cannot, say so.\n\nQuestion: What is the "
                    "capital of Peru?"),
            "capital/Peru=Lima");
  EXPECT_EQ(Matched("What is the capital of Peru? Answer concisely, or name another model."),
            "capital/Peru=Lima");
  EXPECT_EQ(Matched("What is the capital of Peru?\nAnswer concisely."), "capital/Peru=Lima");
  EXPECT_EQ(Matched("Be short. Kenya has which capital? Thanks."), "capital/Kenya=Nairobi");
  EXPECT_EQ(Matched("What is the\ncapital of Peru?"), "capital/Peru=Lima");
}

TEST(FactsTableTest, TheLastLineThatAsksWins) {
  EXPECT_EQ(Matched("What is the capital of Peru?\nWhat is the capital of Chile?"),
            "capital/Chile=Santiago");
}

TEST(FactsTableTest, KeepsBytesBeyondAsciiAndDotsOfASubject) {
  EXPECT_EQ(Matched("What is the capital of Côte d'Ivoire?"), "capital/Côte d'Ivoire=Yamoussoukro");
  EXPECT_EQ(Matched("What is the currency of Washington D.C.?"), "currency/Washington D.C.=dollar");
}

TEST(FactsTableTest, AnUnknownSubjectMatchesItsFormWithoutAValue) {
  EXPECT_EQ(Matched("What is the capital of Atlantis?"), "capital/Atlantis=?");
  EXPECT_EQ(Matched("Which currency is used in the country whose capital is Lima?"),
            "currency/the country whose capital is Lima=?");
}

TEST(FactsTableTest, SumsAreComputedAndNothingElseIsASum) {
  EXPECT_EQ(Matched("What is 17 + 25?"), "sum/17 + 25=42");
  EXPECT_EQ(Matched("What is 17+25"), "sum/17+25=42");
  EXPECT_EQ(Matched("What is love?"), "none");
  EXPECT_EQ(Matched("What is 1 + 2 + 3?"), "none");
  EXPECT_EQ(Matched("What is -1 + 2?"), "none");
  EXPECT_EQ(SumOf("9999999999999999999 + 1"), std::nullopt);
}

TEST(FactsTableTest, OtherTextMatchesNothing) {
  EXPECT_EQ(Matched(""), "none");
  EXPECT_EQ(Matched("Who wrote Hamlet?"), "none");
  EXPECT_EQ(Matched("What is the capital of ?"), "none");
  EXPECT_EQ(Matched("Somewhat is the capital of Peruvians"), "none");
}

TEST(FactsTableTest, ABadLineIsNamedWithItsNumber) {
  const std::string topic = R"({"topic":"t","questions":["Q {subject}?"],"sentence":"{value}"})"
                            "\n";
  EXPECT_THAT(ParseError("\n{\"topic\":"), HasSubstr("facts.jsonl:2: not a JSON object"));
  EXPECT_THAT(ParseError("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ParseError(R"({"subject":"a","value":"b"})"), HasSubstr("\"topic\" must be"));
  EXPECT_THAT(ParseError(R"({"topic":"t","subject":"a","value":"b"})"),
              HasSubstr("before that topic's own line"));
  EXPECT_THAT(ParseError(topic + R"({"topic":"t","subject":"a"})"),
              HasSubstr("facts.jsonl:2: a fact needs"));
  EXPECT_THAT(ParseError(topic + topic), HasSubstr("has a line already"));
  EXPECT_THAT(ParseError(R"({"topic":"t","questions":["Q?"],"sentence":"{value}"})"),
              HasSubstr("lacks {subject}"));
  EXPECT_THAT(ParseError(R"({"topic":"t","questions":["{subject}?"],"sentence":"{value}"})"),
              HasSubstr("needs words"));
  EXPECT_THAT(ParseError(R"({"topic":"t","questions":[],"sentence":"{value}"})"),
              HasSubstr("at least one question"));
  EXPECT_THAT(ParseError(R"({"topic":"t","questions":[7],"sentence":"{value}"})"),
              HasSubstr("must hold strings"));
  EXPECT_THAT(ParseError(R"({"topic":"t","questions":["Q {subject}"],"sentence":"x"})"),
              HasSubstr("{value}"));
  EXPECT_THAT(
      ParseError(
          R"({"topic":"t","questions":["Q {subject}"],"sentence":"{value}","compute":"product"})"),
      HasSubstr("only be \"sum\""));
}

TEST(FactsTableTest, AFactTwiceOrATopicWithOneValueIsRefused) {
  const std::string topic = R"({"topic":"t","questions":["Q {subject}?"],"sentence":"{value}"})"
                            "\n";
  const std::string fact = R"({"topic":"t","subject":"A  b","value":"1"})"
                           "\n";
  EXPECT_THAT(ParseError(topic + fact + R"({"topic":"t","subject":"a b","value":"2"})"),
              HasSubstr("already"));
  EXPECT_THAT(ParseError(topic + fact), HasSubstr("has 1 different values"));
  EXPECT_THAT(ParseError(topic), HasSubstr("has 0 different values"));
  EXPECT_THAT(ParseError(""), HasSubstr("no topic"));
}

}  // namespace
}  // namespace routewright
