#include "policy/formats/gguf_companions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "policy/tokenizer/tokenizer.h"
#include "tests/common/temp_folder.h"
#include "tests/policy/formats/gguf_builder.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;
using Strings = std::vector<std::string>;

class GgufCompanionsTest : public ::testing::Test {
 protected:
  std::unique_ptr<GgufFile> Open(const GgufBuilder& builder) {
    std::ofstream(folder_ / "m.gguf", std::ios::binary) << builder.bytes();
    auto file = GgufFile::Open(folder_ / "m.gguf");
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

  TempFolder folder_;
};

// h, i, "hi", a begin and an end token, every key that is read.
GgufBuilder Whole() {
  GgufBuilder b;
  b.Head(0, 12).Pair("general.architecture", std::string("llama"));
  b.Pair("llama.context_length", 64u).Pair("tokenizer.ggml.model", std::string("gpt2"));
  b.Pair("tokenizer.ggml.pre", std::string("smollm"));
  b.Pair("tokenizer.ggml.tokens", Strings{"<b>", "<e>", "h", "i", "hi"});
  b.Pair("tokenizer.ggml.token_type", std::vector<int32_t>{3, 3, 1, 1, 1});
  b.Pair("tokenizer.ggml.merges", Strings{"h i"});
  b.Pair("tokenizer.ggml.bos_token_id", 0u).Pair("tokenizer.ggml.eos_token_id", 1u);
  b.Pair("tokenizer.ggml.padding_token_id", 1u).Pair("tokenizer.ggml.add_bos_token", true);
  return b.Pair("tokenizer.chat_template", std::string("{{ messages }}"));
}

ModelConfig ConfigOf(int64_t vocabulary_size, const std::vector<uint32_t>& ends) {
  ModelConfig config;
  config.vocabulary_size = vocabulary_size;
  config.end_token_ids = ends;
  return config;
}

TEST_F(GgufCompanionsTest, MakesTokenizerTemplateAndEndTokens) {
  const auto companions = CompanionsFromGguf(*Open(Whole()), ConfigOf(5, {1}));
  ASSERT_TRUE(companions.ok()) << companions.status();
  const auto tokenizer = Tokenizer::Parse(companions->at("tokenizer.json"), "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("<b>hi<e>"), ElementsAre(0, 4, 1));
  const Json config = Json::parse(companions->at("tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], "<e>");
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  EXPECT_EQ(config["model_max_length"], 64);
  EXPECT_EQ(config["add_bos_token"], true);
  const Json generation = Json::parse(companions->at("generation_config.json"));
  EXPECT_EQ(generation, Json({{"bos_token_id", 0}, {"eos_token_id", 1}, {"pad_token_id", 1}}));
}

TEST_F(GgufCompanionsTest, EveryEndTokenOfTheConfigIsAnEnd) {
  const auto companions = CompanionsFromGguf(*Open(Whole()), ConfigOf(5, {1, 0}));
  ASSERT_TRUE(companions.ok()) << companions.status();
  const Json generation = Json::parse(companions->at("generation_config.json"));
  EXPECT_EQ(generation["eos_token_id"], Json({1, 0}));
}

TEST_F(GgufCompanionsTest, NamesFileAndWhatIsMissingOrTooMuch) {
  const auto message = [&](const GgufBuilder& builder, int64_t vocabulary_size) {
    const auto made = CompanionsFromGguf(*Open(builder), ConfigOf(vocabulary_size, {}));
    return std::string(made.status().message());
  };
  EXPECT_THAT(message(GgufBuilder().Head(0, 0), 5),
              HasSubstr("m.gguf: tokenizer.ggml.model is missing"));
  EXPECT_THAT(message(Whole(), 4), HasSubstr("names 5 tokens, the embedding has 4"));
}

}  // namespace
}  // namespace routewright
