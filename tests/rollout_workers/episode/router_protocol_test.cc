#include "rollout_workers/episode/router_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ModelList& Models() {
  static const ModelList* models = [] {
    PoolConfig config;
    config.add_models()->set_name("Atlas");
    config.mutable_models(0)->add_aliases("maps");
    config.add_models()->set_name("Sage");
    return new ModelList(*ModelList::Build(config));
  }();
  return *models;
}

Action Parse(std::string_view text) { return ParseRound(text, Models(), /*is_last_round=*/false); }
InvalidReason Reason(std::string_view text) {
  const Action action = Parse(text);
  EXPECT_EQ(action.kind(), ACTION_KIND_INVALID) << text;
  EXPECT_EQ(action.model() + action.query() + action.answer(), "") << text;
  return action.invalid_reason();
}
std::vector<int> Faults(std::string_view text) {
  const Action action = Parse(text);
  return {action.format_faults().begin(), action.format_faults().end()};
}
void ExpectSearch(std::string_view text, const std::string& model, const std::string& query) {
  const Action action = Parse(text);
  EXPECT_EQ(action.kind(), ACTION_KIND_SEARCH) << text;
  EXPECT_EQ(action.invalid_reason(), INVALID_REASON_UNSPECIFIED);
  EXPECT_EQ(action.model(), model) << text;
  EXPECT_EQ(action.query(), query) << text;
}
void ExpectAnswer(std::string_view text, const std::string& answer) {
  const Action action = Parse(text);
  EXPECT_EQ(action.kind(), ACTION_KIND_ANSWER) << text;
  EXPECT_EQ(action.answer(), answer) << text;
}

TEST(RouterProtocolTest, AnAnswerEndsWithItsTextTrimmed) {
  ExpectAnswer("<think>t</think><answer> Lima \n</answer>", "Lima");
  ExpectAnswer("<answer></answer>", "");
  ExpectAnswer("<answer>a</answer>", "a");
}

TEST(RouterProtocolTest, ASearchIsSplitAtTheFirstColon) {
  ExpectSearch("<think>t</think>\n<search> Atlas: What is 3:2? </search>", "Atlas", "What is 3:2?");
  ExpectSearch("<search>Sage:q</search>", "Sage", "q");
}

TEST(RouterProtocolTest, NamesAndAliasesMatchInAnyCaseTrimmed) {
  ExpectSearch("<search>\n aTLAS\xc2\xa0: q </search>", "Atlas", "q");
  ExpectSearch("<search>Maps: q</search>", "Atlas", "q");
}

TEST(RouterProtocolTest, AnUnknownNameIsInvalid) {
  EXPECT_EQ(Reason("<search>Oracle: q</search>"), INVALID_REASON_UNKNOWN_MODEL);
  EXPECT_EQ(Reason("<search>Atlas2: q</search>"), INVALID_REASON_UNKNOWN_MODEL);
  EXPECT_EQ(Reason("<search>ask Atlas: q</search>"), INVALID_REASON_UNKNOWN_MODEL);
  EXPECT_EQ(Reason("<search>: q</search>"), INVALID_REASON_UNKNOWN_MODEL);
}

TEST(RouterProtocolTest, AnEmptyQueryIsInvalid) {
  EXPECT_EQ(Reason("<search>Atlas:</search>"), INVALID_REASON_EMPTY_QUERY);
  EXPECT_EQ(Reason("<search>Atlas: \n\xe3\x80\x80</search>"), INVALID_REASON_EMPTY_QUERY);
}

TEST(RouterProtocolTest, PlaceholderWordsAreInvalidInAnyCase) {
  EXPECT_EQ(Reason("<search>LLM-Name: your-query</search>"), INVALID_REASON_PLACEHOLDER);
  EXPECT_EQ(Reason("<search>Atlas: Your-Query</search>"), INVALID_REASON_PLACEHOLDER);
  EXPECT_EQ(Reason("<search>Atlas: what does llm-NAME mean</search>"), INVALID_REASON_PLACEHOLDER);
  EXPECT_EQ(Reason("<search>Model-Name: q</search>"), INVALID_REASON_PLACEHOLDER);
  EXPECT_EQ(Reason("<search>model name: q</search>"), INVALID_REASON_PLACEHOLDER);
  EXPECT_EQ(Reason("<search>Atlas: Sub-Question</search>"), INVALID_REASON_PLACEHOLDER);
  ExpectSearch("<search>Atlas: what is a sub-question?</search>", "Atlas",
               "what is a sub-question?");
}

TEST(RouterProtocolTest, NoColonIsInvalid) {
  EXPECT_EQ(Reason("<search>Atlas what</search>"), INVALID_REASON_NO_COLON);
  EXPECT_EQ(Reason("<search></search>"), INVALID_REASON_NO_COLON);
}

TEST(RouterProtocolTest, NeitherTagPairIsInvalid) {
  for (const char* text :
       {"", "Lima", "<think>t</think>", "<search>Atlas: q", "<answer>Lima", "</search>",
        "Atlas: q</search>", "Lima</answer>", "<answer>Lima</search>", "<search>Atlas: q</answer>",
        "<Search>Atlas: q</Search>", "<search >Atlas: q</search >"}) {
    EXPECT_EQ(Reason(text), INVALID_REASON_NO_TAGS) << text;
  }
}

TEST(RouterProtocolTest, TheEarliestClosingTagDecides) {
  ExpectAnswer("<answer>a</answer><search>Atlas: q</search>", "a");
  ExpectSearch("<search>Atlas: q</search></answer>", "Atlas", "q");
  ExpectSearch("<answer>a<search>Atlas: q</search></answer>", "Atlas", "q");
}

TEST(RouterProtocolTest, TheNearestOpeningTagBeginsTheContent) {
  ExpectSearch("<think>I may use <search> here</think><search>Atlas: q</search>", "Atlas", "q");
  ExpectAnswer("<answer>a<answer>b</answer>", "b");
}

TEST(RouterProtocolTest, BytesAfterTheTagAreIgnoredAndAFaultOnlyIfNotBlank) {
  ExpectAnswer("<think>t</think><answer>a</answer>\n\n", "a");
  EXPECT_THAT(Faults("<think>t</think><answer>a</answer>\n\n"), IsEmpty());
  ExpectSearch("<think>t</think><search>Atlas: q</search>x", "Atlas", "q");
  EXPECT_THAT(Faults("<think>t</think><search>Atlas: q</search>x"),
              ElementsAre(FORMAT_FAULT_TEXT_AFTER_TAG));
  EXPECT_THAT(Faults("<think>t</think><search>Atlas: q</search><"),
              ElementsAre(FORMAT_FAULT_TEXT_AFTER_TAG));
}

TEST(RouterProtocolTest, ASearchInTheLastRoundIsInvalidWhateverItHolds) {
  for (const char* text :
       {"<search>Atlas: q</search>", "<search>nobody: q</search>", "<search></search>"}) {
    const Action action = ParseRound(text, Models(), /*is_last_round=*/true);
    EXPECT_EQ(action.kind(), ACTION_KIND_INVALID);
    EXPECT_EQ(action.invalid_reason(), INVALID_REASON_LAST_ROUND_SEARCH);
    EXPECT_EQ(action.model() + action.query(), "");
  }
  EXPECT_EQ(ParseRound("<answer>a</answer>", Models(), true).kind(), ACTION_KIND_ANSWER);
  EXPECT_EQ(ParseRound("x", Models(), true).invalid_reason(), INVALID_REASON_NO_TAGS);
}

TEST(RouterProtocolTest, AWellFormedRoundHasNoFaults) {
  for (const char* text : {"<think>t</think><answer>a</answer>",
                           " \n<think> t </think>\n\n<search>Atlas: q</search>\n",
                           "<think>a</think><think>b</think><answer>a</answer>",
                           "<think>1 < 2, a <b> tag</think><answer>x</answer>"}) {
    EXPECT_THAT(Faults(text), IsEmpty()) << text;
  }
}

TEST(RouterProtocolTest, ARoundMustBeginWithANonEmptyThink) {
  for (const char* text : {"<answer>a</answer>", "<think></think><answer>a</answer>",
                           "<think> \n</think><answer>a</answer>",
                           "<answer>a</answer><think>t</think>", "<search>Atlas: q</search>"}) {
    const std::vector<int> faults = Faults(text);
    ASSERT_FALSE(faults.empty()) << text;
    EXPECT_EQ(faults[0], FORMAT_FAULT_NO_THINK) << text;
  }
}

TEST(RouterProtocolTest, TextOutsideTagsIsAFault) {
  for (const char* text : {"<think>t</think>so <answer>a</answer>", "<think>t</think>Lima",
                           "<think>t</think><|end|>", "<think>t</think>\xff<answer>a</answer>"}) {
    EXPECT_THAT(Faults(text), ElementsAre(FORMAT_FAULT_TEXT_OUTSIDE_TAGS)) << text;
  }
  EXPECT_THAT(Faults("x<think>t</think><answer>a</answer>"),
              ElementsAre(FORMAT_FAULT_NO_THINK, FORMAT_FAULT_TEXT_OUTSIDE_TAGS));
}

TEST(RouterProtocolTest, UnbalancedOrNestedTagsAreAFault) {
  for (const char* text :
       {"<think>t</think></think><answer>a</answer>", "<think>t<think>u</think><answer>a</answer>",
        "<think>t</think><search><answer>a</answer>",
        "<think>t</think><answer><think>u</think>a</answer>",
        "<think>t</think><answer>a<answer>b</answer>", "<think>t</think><answer>a",
        "<think>t</think><information>i</information><answer>a</answer>",
        "<think>t</think></information><answer>a</answer>",
        "<think>t <search> u</think><search>Atlas: q</search>",
        "<think>t</think><answer>a</search>"}) {
    EXPECT_THAT(Faults(text), ElementsAre(FORMAT_FAULT_UNBALANCED_TAGS)) << text;
  }
  EXPECT_THAT(Faults("<think>t<answer>a</answer>"),
              ElementsAre(FORMAT_FAULT_NO_THINK, FORMAT_FAULT_UNBALANCED_TAGS));
}

TEST(RouterProtocolTest, RandomBytesAreParsedIntoValidText) {
  const Action action = Parse("<think>\xff</think><search>Atlas: \xf0\x9f\x99 q\xff\x01</search>");
  EXPECT_EQ(action.kind(), ACTION_KIND_SEARCH);
  Action copy;
  EXPECT_TRUE(copy.ParseFromString(action.SerializeAsString()));
  EXPECT_TRUE(copy.ParseFromString(Parse("<answer>\xc3</answer>").SerializeAsString()));
  EXPECT_EQ(copy.answer(), "\xef\xbf\xbd");
}

// Qwen3's Thinking models and DeepSeek-R1's distillates: the chat template opens <think>, the policy closes it.
TEST(RouterProtocolTest, ARoundGoesOnFromTheTagThatThePromptOpened) {
  const auto parse = [](std::string_view text) {
    return ParseRound(text, Models(), /*is_last_round=*/false, "<think>");
  };
  const Action search = parse("\nwho knows?</think><search>Atlas: q</search>");
  EXPECT_EQ(search.kind(), ACTION_KIND_SEARCH);
  EXPECT_THAT(search.format_faults(), IsEmpty());
  EXPECT_THAT(parse("so</think><answer>Lima</answer>").format_faults(), IsEmpty());
  EXPECT_THAT(parse("</think><answer>Lima</answer>").format_faults(),
              ElementsAre(FORMAT_FAULT_NO_THINK));  // nothing was thought
  EXPECT_THAT(parse("<think>so</think><answer>Lima</answer>").format_faults(),
              ElementsAre(FORMAT_FAULT_UNBALANCED_TAGS));
  EXPECT_THAT(Faults("so</think><answer>Lima</answer>"),
              ElementsAre(FORMAT_FAULT_NO_THINK, FORMAT_FAULT_TEXT_OUTSIDE_TAGS,
                          FORMAT_FAULT_UNBALANCED_TAGS));
}

TEST(RouterProtocolTest, OnlyATagAtThePromptsVeryEndIsOpen) {
  EXPECT_EQ(OpenedTag("<|im_start|>assistant\n<think>\n"), "<think>");
  EXPECT_EQ(OpenedTag("<think>"), "<think>");
  EXPECT_EQ(OpenedTag("Reason inside <think> first.\n"), "");
  EXPECT_EQ(OpenedTag("<think>\n\n</think>\n\n"), "");
  EXPECT_EQ(OpenedTag(""), "");
}

TEST(RouterProtocolTest, SaysWhereTheModelIsNamed) {
  const auto named = [](std::string_view text) {
    const auto [begin, end] = NamedModelBytes(text);
    return std::string(text.substr(begin, end - begin));
  };
  EXPECT_EQ(named("<think>t</think><search> Atlas : a:b</search>"), "Atlas");
  EXPECT_EQ(named("<search>maps:q</search> x"), "maps");
  EXPECT_EQ(named("<search><search>Sage: q</search>"), "Sage");
}

}  // namespace
}  // namespace routewright
