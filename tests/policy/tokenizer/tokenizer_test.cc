#include "policy/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tests/policy/tokenizer/tiny_tokenizer.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Json = nlohmann::json;
using Ids = std::vector<uint32_t>;

std::unique_ptr<Tokenizer> Make(const Json& document) {
  auto tokenizer = Tokenizer::Parse(document.dump(), "tiny");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::string Error(const Json& document) {
  const auto tokenizer = Tokenizer::Parse(document.dump(), "tiny.json");
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(tokenizer.status().message());
}

// "hello" in three merges; 256 he, 257 ll, 258 hell, 259 hello.
Json Hello() { return TinyTokenizerJson({{"h", "e"}, {"l", "l"}, {"he", "ll"}, {"hell", "o"}}); }

TEST(TokenizerTest, MergesTheLowestRankFirst) {
  const auto tokenizer = Make(Hello());
  EXPECT_THAT(tokenizer->Encode("hello"), ElementsAre(259));
  EXPECT_THAT(tokenizer->Encode("hellll"), ElementsAre(258, 257));
  EXPECT_THAT(tokenizer->Encode("helo"), ElementsAre(256, 'l', 'o'));
  EXPECT_THAT(tokenizer->Encode(""), IsEmpty());
}

TEST(TokenizerTest, MergesTheLeftmostOfEqualRank) {
  const auto tokenizer = Make(TinyTokenizerJson({{"a", "a"}}));
  EXPECT_THAT(tokenizer->Encode("aaa"), ElementsAre(256, 'a'));
}

TEST(TokenizerTest, ReadsMergesAsStringsToo) {
  Json document = Hello();
  document["model"]["merges"] = {"#version: 0.2", "h e", "l l", "he ll", "hell o"};
  EXPECT_THAT(Make(document)->Encode("hello"), ElementsAre(259));
}

TEST(TokenizerTest, TakesAWholeWordFromTheVocabularyOnlyIfMergesAreIgnored) {
  Json document = Hello();
  document["model"]["merges"] = Json::array({Json::array({"h", "e"})});
  EXPECT_THAT(Make(document)->Encode("hello"), ElementsAre(256, 'l', 'l', 'o'));
  document["model"]["ignore_merges"] = true;
  EXPECT_THAT(Make(document)->Encode("hello"), ElementsAre(259));
}

TEST(TokenizerTest, RecognisesTheLongestAddedTokenOnlyInEncode) {
  Json document = Hello();
  document["added_tokens"] = {AddedTokenJson("<s>", 260, true), AddedTokenJson("<s>>", 261, false)};
  const auto tokenizer = Make(document);
  EXPECT_THAT(tokenizer->Encode("hello<s>>hello<s>"), ElementsAre(259, 261, 259, 260));
  EXPECT_THAT(tokenizer->EncodePlain("hello<s>"), ElementsAre(259, '<', 's', '>'));
  EXPECT_TRUE(tokenizer->IsSpecial(260));
  EXPECT_FALSE(tokenizer->IsSpecial(261));
  EXPECT_FALSE(tokenizer->IsSpecial(259));
  EXPECT_EQ(tokenizer->vocabulary_size(), 262u);
}

TEST(TokenizerTest, AddedTokensTakeSpaceAndWantToStandAloneWhereTheySaySo) {
  Json document = Hello();
  Json token = AddedTokenJson("<m>", 260, false);
  token["lstrip"] = token["rstrip"] = true;
  document["added_tokens"] = {token};
  EXPECT_THAT(Make(document)->Encode("a \n<m>\t b"), ElementsAre('a', 260, 'b'));
  token = AddedTokenJson("word", 260, false);
  token["single_word"] = true;
  document["added_tokens"] = {token};
  EXPECT_THAT(Make(document)->Encode("word,word"), ElementsAre(260, ',', 260));
  EXPECT_THAT(Make(document)->Encode("words"), ElementsAre('w', 'o', 'r', 'd', 's'));
}

TEST(TokenizerTest, NormalizedAddedTokensAreFoundInTheNormalizedText) {
  Json document = Hello();
  document["normalizer"] = {{"type", "NFC"}};
  Json token = AddedTokenJson("\u00e9!", 260, false);
  token["normalized"] = true;
  document["added_tokens"] = {token};
  EXPECT_THAT(Make(document)->Encode("e\u0301!"), ElementsAre(260));
  document["added_tokens"][0]["normalized"] = false;
  EXPECT_THAT(Make(document)->Encode("e\u0301!"), ElementsAre(0xc3, 0xa9, '!'));
}

// The spelling of an added token that merges, or a look-up of the whole word, would also reach.
TEST(TokenizerTest, PlainTextNeverYieldsAnAddedToken) {
  for (const bool ignores_merges : {false, true}) {
    Json document = Hello();
    document["model"]["ignore_merges"] = ignores_merges;
    document["added_tokens"] = {AddedTokenJson("hell", 258, true),
                                AddedTokenJson("hello", 259, false)};
    const auto tokenizer = Make(document);
    EXPECT_THAT(tokenizer->Encode("hello"), ElementsAre(259));
    EXPECT_THAT(tokenizer->EncodePlain("hello"), ElementsAre(256, 257, 'o'));
    EXPECT_THAT(tokenizer->EncodePlain("hell"), ElementsAre(256, 257));
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      while (random() % 16 != 0) text.push_back("helo <"[random() % 6]);
      const Ids ids = tokenizer->EncodePlain(text);
      for (const uint32_t id : ids) EXPECT_TRUE(id != 258 && id != 259) << text;
      EXPECT_EQ(tokenizer->Decode(ids), text);
    }
  }
}

TEST(TokenizerTest, RefusesAnAddedTokenThatIsTheOnlySpellingOfAByte) {
  Json document = Hello();
  document["added_tokens"] = {AddedTokenJson("A", 65, true)};
  EXPECT_THAT(Error(document), HasSubstr("the only spelling of a single byte (0x41)"));
}

TEST(TokenizerTest, DecodesTheExactBytesOfACutCharacter) {
  const auto tokenizer = Make(TinyTokenizerJson({}));
  const std::string euro = "\u20ac";
  const Ids ids = tokenizer->Encode(euro);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(tokenizer->TokenBytes(ids[0]), euro.substr(0, 1));
  EXPECT_EQ(tokenizer->Decode(std::span(ids).first(2)), euro.substr(0, 2));
  EXPECT_EQ(tokenizer->Decode(ids), euro);
}

TEST(TokenizerTest, UnusedIdsAreEmpty) {
  Json document = TinyTokenizerJson({});
  document["model"]["vocab"]["zz"] = 300;
  const auto tokenizer = Make(document);
  EXPECT_EQ(tokenizer->vocabulary_size(), 301u);
  EXPECT_EQ(tokenizer->TokenBytes(299), "");
  EXPECT_EQ(tokenizer->TokenBytes(4'000'000'000), "");
  EXPECT_EQ(tokenizer->TokenId("zz"), 300u);
  EXPECT_EQ(tokenizer->TokenId("zzz"), std::nullopt);
}

TEST(TokenizerTest, AnyBytesAreEncoded) {
  const auto tokenizer = Make(Hello());
  EXPECT_EQ(tokenizer->Encode("a\xff"), tokenizer->Encode("a\ufffd"));
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    while (random() % 24 != 0) bytes.push_back(static_cast<char>(random()));
    tokenizer->Encode(bytes);
    tokenizer->EncodePlain(bytes);
  }
}

// Each of these is one pre-token, or a million of them.
TEST(TokenizerTest, AMegabyteOfOneLetterIsNoTrouble) {
  constexpr size_t kSize = 1 << 20;
  Json document = TinyTokenizerJson({{"a", "a"}, {"aa", "aa"}, {"\u0120", "\u0120"}});
  for (
      const char* pattern :
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       ""}) {
    if (*pattern != 0) {
      const Json split = {{"type", "Split"},
                          {"pattern", Json::object({{"Regex", pattern}})},
                          {"behavior", "Isolated"}};
      document["pre_tokenizer"] = Json::object();
      document["pre_tokenizer"]["type"] = "Sequence";
      document["pre_tokenizer"]["pretokenizers"] = Json::array(
          {split, {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}});
    } else {
      document["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
    }
    const auto tokenizer = Make(document);
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, 'a')), Ids(kSize / 4, 257));
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, ' ')), Ids(kSize / 2, 258));
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, '7')), Ids(kSize, '7'));
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, '\n')), Ids(kSize, '\n'));
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, '-')), Ids(kSize, '-'));
    EXPECT_EQ(tokenizer->Encode(std::string(kSize, ' ') + "b").size(), kSize / 2 + 2);
  }
}

TEST(TokenizerTest, ADescendingRunOfMarksIsNormalizedQuickly) {
  Json document = TinyTokenizerJson({});
  document["normalizer"] = {{"type", "NFC"}};
  std::string text = "a";
  for (int i = 0; i < 300'000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0327";  // class 230, 202
  EXPECT_EQ(Make(document)->Encode(text).size(), text.size() - 1);  // a and one U+0301 compose
}

TEST(TokenizerTest, NamesWhatItDoesNotSupport) {
  Json document = Hello();
  document["model"]["type"] = "Unigram";
  EXPECT_THAT(Error(document),
              HasSubstr("tiny.json: model: the type must be BPE, not \"Unigram\""));
  document = Hello();
  document["model"]["byte_fallback"] = true;
  EXPECT_THAT(Error(document), HasSubstr("byte_fallback"));
  document = Hello();
  document["model"]["unk_token"] = "<unk>";
  EXPECT_THAT(Error(document), HasSubstr("unk_token"));
  document = Hello();
  document["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(Error(document), HasSubstr("normalizer: \"Lowercase\" is not supported"));
  document = Hello();
  document["pre_tokenizer"] = {{"type", "Metaspace"}};
  EXPECT_THAT(Error(document), HasSubstr("must be ByteLevel"));
  document = Hello();
  document["decoder"] = {{"type", "WordPiece"}};
  EXPECT_THAT(Error(document), HasSubstr("decoder: \"WordPiece\""));
}

TEST(TokenizerTest, NamesWhatIsMalformed) {
  EXPECT_THAT(Error(Json::array()), HasSubstr("not a JSON object"));
  Json document = Hello();
  document["model"]["merges"].push_back("no-pair");
  EXPECT_THAT(Error(document), HasSubstr("merge 4 is not a pair"));
  document = Hello();
  document["model"]["merges"].push_back("q u");
  EXPECT_THAT(Error(document), HasSubstr("names a token that the vocabulary lacks"));
  document = Hello();
  document["model"]["vocab"]["x y"] = 3;
  EXPECT_THAT(Error(document), HasSubstr("two tokens have id 3"));
  document = Hello();
  document["model"]["vocab"]["x y"] = 4'000'000'000;
  EXPECT_THAT(Error(document), HasSubstr("must be a number from 0 to"));
  document = Hello();
  document["added_tokens"] = {AddedTokenJson("<s>", 999, true)};
  EXPECT_THAT(Error(document),
              HasSubstr("'<s>' has id 999, but Hugging Face tokenizers would give it id 260"));
}

TEST(TokenizerTest, ATruncatedFileIsRefused) {
  const std::string whole = Hello().dump();
  for (size_t size = 0; size < whole.size(); size += 97) {
    EXPECT_FALSE(Tokenizer::Parse(whole.substr(0, size), "cut").ok());
  }
}

TEST(TokenizerTest, AMissingFileIsNamed) {
  const auto tokenizer = Tokenizer::Load("/nowhere/at/all");
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(tokenizer.status().message()),
              HasSubstr("/nowhere/at/all/tokenizer.json is missing"));
}

}  // namespace
}  // namespace routewright
