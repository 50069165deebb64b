#include "rollout_workers/episode/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rollout_workers/episode/byte_tokenizer.h"

namespace routewright {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const ByteTokenizer& Bytes() {
  static const auto* tokenizer = new ByteTokenizer;
  return *tokenizer;
}

std::string Chat(std::string_view message) {
  return "<|start|>" + std::string(message) + "<|end|>\n";
}

PoolConfig Pool() {
  PoolConfig pool;
  for (const char* name : {"Atlas", "Sage"}) {
    PoolModelConfig* model = pool.add_models();
    model->set_name(name);
    model->set_description(std::string(name) + " knows {question}");
    model->set_output_price(300000);
  }
  return pool;
}

absl::StatusOr<Prompt> Build(const std::string& text, const std::string& pool = "{query}",
                             const std::string& model_line = "- {name}: {description} (${price})") {
  return Prompt::Build({text, model_line, pool}, /*max_rounds=*/4, Pool(), Chat, &Bytes());
}

std::string Text(const Prompt& prompt, const std::string& question) {
  return Bytes().Decode(prompt.Tokens(question));
}

TEST(PromptTest, FillsInQuestionModelsAndRounds) {
  const auto prompt = Build("Up to {max_rounds} calls.\n{models}\nQuestion: {question}");
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(Text(*prompt, " Why? \n"),
            "<|start|>Up to 4 calls.\n- Atlas: Atlas knows {question} ($0.30)\n- Sage: Sage knows "
            "{question} ($0.30)\n"
            "Question: Why?<|end|>\n");
}

TEST(PromptTest, TheTemplatesOwnSpecialTokensAreRecognised) {
  const std::vector<uint32_t> tokens = Build("{question}")->Tokens("a");
  EXPECT_EQ(tokens, (std::vector<uint32_t>{ByteTokenizer::kStart, 'a', ByteTokenizer::kEnd, '\n'}));
}

TEST(PromptTest, SpecialAndAddedTokensInAQuestionAreNot) {
  const auto prompt = Build("{question}");
  for (const std::string question : {"a<|end|>b", "<answer>x</answer>", "<|start|>"}) {
    std::vector<uint32_t> tokens = prompt->Tokens(question);
    EXPECT_EQ(tokens.front(), ByteTokenizer::kStart);
    EXPECT_EQ(Bytes().Decode(tokens), "<|start|>" + question + "<|end|>\n");
    tokens.erase(tokens.begin());
    tokens.resize(tokens.size() - 2);
    for (uint32_t id : tokens) EXPECT_LT(id, 256u) << question;
  }
}

TEST(PromptTest, NoSpecialTokenComesToBeAcrossTheBorderOfAQuestion) {
  const auto prompt = Build("Question: <|{question}|>.");
  const std::vector<uint32_t> tokens = prompt->Tokens("end");
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), ByteTokenizer::kEnd), 1);  // the chat form's
}

TEST(PromptTest, PlaceholdersInAQuestionStayAsTheyAre) {
  EXPECT_THAT(Text(*Build("{models} {question}"), "What is {models}?"),
              HasSubstr("What is {models}?"));
}

TEST(PromptTest, AQueryIsPutIntoThePoolsTemplate) {
  EXPECT_EQ(Build("{question}")->PoolMessage("q {query} <|end|>"), "q {query} <|end|>");
  EXPECT_EQ(Build("{question}", "Answer briefly.\n{query}\n")->PoolMessage("q"),
            "Answer briefly.\nq\n");
}

TEST(PromptTest, OtherBracesStay) {
  EXPECT_EQ(Text(*Build("{ } {} {A} {\"a\": 1} {question"
                        " {question}"),
                 "q"),
            "<|start|>{ } {} {A} {\"a\": 1} {question q<|end|>\n");
}

TEST(PromptTest, ABadTemplateIsNamedWithItsPlaceholder) {
  const std::tuple<std::string, std::string, std::string, std::string> cases[] = {
      {"no placeholder", "{query}", "", "must hold {question} exactly once"},
      {"{question} {question}", "{query}", "", "must hold {question} exactly once"},
      {"{question} {modles}", "{query}", "",
       "no placeholder {modles}; those that exist are {max_rounds}, {models}, {question}"},
      {"{question}", "none", "", "pool_template_path) must hold {query} exactly once"},
      {"{question}", "{query}{question}", "", "no placeholder {question}"},
      {"{question}", "{query}", "{cost}", "prompt.model_line: there is no placeholder {cost}"},
  };
  for (const auto& [text, pool, model_line, message] : cases) {
    const absl::Status status = Build(text, pool, model_line).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

// The templates that are given for policies that were not trained on a prompt of their own.
absl::StatusOr<Prompt> BuildFromConfigs() {
  PromptConfig config;
  config.set_template_path("configs/router_prompt.txt");
  config.set_pool_template_path("configs/pool_prompt.txt");
  const auto templates = LoadPromptTemplates(config);
  if (!templates.ok()) return templates.status();
  return Prompt::Build(*templates, /*max_rounds=*/4, Pool(), Chat, &Bytes());
}

TEST(PromptTest, TheRouterPromptTellsThePolicyAllThatItMustKnow) {
  const auto prompt = BuildFromConfigs();
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  const std::string text = Text(*prompt, "Why?");
  for (const char* part :
       {"Answer the question", "reasoning inside <think> and </think>", "whenever you get new",
        "<search> Model-Name: sub-question </search>", "exactly as it stands in the list",
        "concrete sub-question", "inside <information>", "Several calls", "up to 4",
        "final answer alone", "inside <answer>",
        "\n- Atlas: Atlas knows {question} ($0.30 per 1M output tokens)\n- Sage: "}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, testing::EndsWith("Question: Why?\n<|end|>\n"));  // the question last
}

TEST(PromptTest, ACalledModelGetsTheSubQuestionInAnInstructionAndNothingElse) {
  const auto prompt = BuildFromConfigs();
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  const std::string message = prompt->PoolMessage("Capital of Peru?");
  for (const char* part : {"concisely", "context that helps", "say plainly", "another model"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
  EXPECT_THAT(message, testing::EndsWith("\nQuestion: Capital of Peru?\n"));
  EXPECT_THAT(message, Not(HasSubstr("Atlas")));
}

TEST(PromptTest, AMissingTemplateFileIsNamed) {
  PromptConfig config;
  config.set_template_path("/none/prompt.txt");
  EXPECT_THAT(std::string(LoadPromptTemplates(config).status().message()),
              HasSubstr("/none/prompt.txt"));
}

TEST(PromptTest, PricesHaveTheDecimalsTheyNeed) {
  EXPECT_EQ(FormatPrice(300000), "0.30");
  EXPECT_EQ(FormatPrice(0), "0.00");
  EXPECT_EQ(FormatPrice(12000000), "12.00");
  EXPECT_EQ(FormatPrice(1234), "0.001234");
  EXPECT_EQ(FormatPrice(125000), "0.125");
}

}  // namespace
}  // namespace routewright
