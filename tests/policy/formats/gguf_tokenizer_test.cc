#include "policy/formats/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/tokenizer/byte_alphabet.h"
#include "policy/tokenizer/tokenizer.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 256 bytes, "he", two control tokens, a user-defined one and a padding of unused ones.
GgufTokenizer Tiny(const std::string& pre) {
  GgufTokenizer gguf;
  gguf.model = "gpt2";
  gguf.pre = pre;
  for (int byte = 0; byte < 256; ++byte) {
    gguf.tokens.emplace_back(SpellByte(static_cast<uint8_t>(byte)));
  }
  gguf.tokens.insert(gguf.tokens.end(), {"he", "<|b|>", "<|e|>", "<tool>", "[PAD0]", "[PAD1]"});
  gguf.token_types.assign(257, 1);
  gguf.token_types.insert(gguf.token_types.end(), {3, 3, 4, 5, 5});
  gguf.merges = {"h e"};
  gguf.bos_id = 257;
  gguf.eos_id = 258;
  return gguf;
}

std::unique_ptr<Tokenizer> Make(const GgufTokenizer& gguf) {
  const auto text = TokenizerJsonFromGguf(gguf);
  EXPECT_TRUE(text.ok()) << text.status();
  auto tokenizer = Tokenizer::Parse(*text, "gguf");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(GgufTokenizerTest, EveryKindGivesATokenizerThatIsRead) {
  for (const char* pre : {"smollm", "gpt-2", "default", "", "llama-bpe", "qwen2"}) {
    const auto tokenizer = Make(Tiny(pre));
    EXPECT_THAT(tokenizer->Encode("he<|e|><tool>"), ElementsAre(256, 258, 259)) << pre;
    EXPECT_TRUE(tokenizer->IsSpecial(257));
    EXPECT_FALSE(tokenizer->IsSpecial(259));
    EXPECT_EQ(tokenizer->vocabulary_size(), 260u);
  }
}

TEST(GgufTokenizerTest, ControlTokensInFrontKeepTheirIds) {
  GgufTokenizer gguf = Tiny("smollm");
  gguf.token_types[0] = 3;
  gguf.tokens[0] = "<|endoftext|>";
  EXPECT_THAT(Make(gguf)->Encode("<|endoftext|>h"), ElementsAre(0, 'h'));
}

TEST(GgufTokenizerTest, LlamaTakesWholeWordsAndQwenNormalizes) {
  EXPECT_THAT(*TokenizerJsonFromGguf(Tiny("llama-bpe")), HasSubstr("\"ignore_merges\": true"));
  EXPECT_EQ(Make(Tiny("qwen2"))->Encode("e\u0301"), Make(Tiny("qwen2"))->Encode("\u00e9"));
}

TEST(GgufTokenizerTest, NamesWhatIsNotSupported) {
  EXPECT_THAT(std::string(TokenizerJsonFromGguf(Tiny("tekken")).status().message()),
              HasSubstr("tokenizer.ggml.pre 'tekken' is not supported"));
  GgufTokenizer gguf = Tiny("smollm");
  gguf.model = "llama";
  EXPECT_THAT(std::string(TokenizerJsonFromGguf(gguf).status().message()),
              HasSubstr("byte-level BPE"));
  gguf = Tiny("smollm");
  gguf.token_types.pop_back();
  EXPECT_THAT(std::string(TokenizerJsonFromGguf(gguf).status().message()),
              HasSubstr("261 entries for 262"));
}

TEST(GgufTokenizerTest, TheConfigNamesTokensAndTemplate) {
  GgufTokenizer gguf = Tiny("smollm");
  gguf.chat_template = "{{ 'x' }}";
  gguf.padding_id = 9999;
  const auto config = nlohmann::json::parse(TokenizerConfigJsonFromGguf(gguf));
  EXPECT_EQ(config["bos_token"], "<|b|>");
  EXPECT_EQ(config["eos_token"], "<|e|>");
  EXPECT_EQ(config["chat_template"], "{{ 'x' }}");
  EXPECT_FALSE(config.contains("pad_token"));
}

}  // namespace
}  // namespace routewright
