#include "policy/formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "policy/formats/gguf_policy.h"
#include "tests/policy/formats/gguf_builder.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GgufTest : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "gguf_test.gguf";

  absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return GgufFile::Open(path_);
  }
  std::string ErrorOf(const std::string& bytes) {
    const auto file = Open(bytes);
    if (file.ok()) return "opened";
    EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(path_));
    return std::string(file.status().message());
  }
};

TEST_F(GgufTest, ReadsMetadataOfEveryType) {
  GgufBuilder b;
  b.Head(0, 6).Pair("u", uint32_t{7}).Pair("f", 1e-5f).Pair("s", std::string("text"));
  b.Text("b").Put<uint32_t>(7).Put<uint8_t>(1);
  b.Text("strings").Put<uint32_t>(9).Put<uint32_t>(8).Put<uint64_t>(2).Text("x").Text("yz");
  b.Text("integers")
      .Put<uint32_t>(9)
      .Put<uint32_t>(5)
      .Put<uint64_t>(2)
      .Put<int32_t>(-3)
      .Put<int32_t>(4);
  const auto file = Open(b.bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*(*file)->Get<int64_t>("u"), 7);
  EXPECT_EQ(*(*file)->Get<double>("f"), 1e-5);  // as written, not as f32 widens it
  EXPECT_EQ(*(*file)->Get<std::string>("s"), "text");
  EXPECT_EQ(*(*file)->Get<bool>("b"), true);
  EXPECT_THAT(*(*file)->Get<std::vector<std::string>>("strings"), ElementsAre("x", "yz"));
  EXPECT_THAT(*(*file)->Get<std::vector<int64_t>>("integers"), ElementsAre(-3, 4));
  EXPECT_EQ((*file)->Get<int64_t>("s"), nullptr);
  EXPECT_EQ((*file)->Get<int64_t>("none"), nullptr);
}

TEST_F(GgufTest, DequantizesEveryTypeThatItReads) {
  GgufBuilder b;
  b.Head(5, 0).Tensor("f32", {2, 1}, 0, 0).Tensor("f16", {2}, 1, 32).Tensor("bf16", {2}, 30, 64);
  b.Tensor("q8", {32}, 8, 96).Tensor("q4", {32}, 3, 160).Align();
  b.Put(1.5f).Put(-2.0f).Align();
  b.Put<uint16_t>(0x3c00).Put<uint16_t>(0xc100).Align();
  b.Put<uint16_t>(0x3f80).Put<uint16_t>(0xc020).Align();
  b.Put<uint16_t>(0x3800);  // scale 0.5
  for (int i = 0; i < 32; ++i) b.Put<int8_t>(static_cast<int8_t>(i - 16));
  b.Align().Put<uint16_t>(0x3800).Put<uint16_t>(0xbc00);  // scale 0.5, minimum -1
  for (int i = 0; i < 16; ++i) b.Put<uint8_t>(static_cast<uint8_t>(i | (15 - i) << 4));
  const auto file = Open(b.bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  const auto read = [&](const char* name) { return (*file)->Read(*(*file)->Find(name))->values; };
  EXPECT_THAT((*file)->Find("f32")->shape, ElementsAre(1, 2));
  EXPECT_THAT(read("f32"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(read("f16"), ElementsAre(1.0f, -2.5f));
  EXPECT_THAT(read("bf16"), ElementsAre(1.0f, -2.5f));
  const std::vector<float> q8 = read("q8"), q4 = read("q4");
  for (int i = 0; i < 32; ++i) EXPECT_EQ(q8[i], 0.5f * static_cast<float>(i - 16));
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(q4[i], 0.5f * static_cast<float>(i) - 1);
    EXPECT_EQ(q4[i + 16], 0.5f * static_cast<float>(15 - i) - 1);
  }
}

// 160 bytes that ask for gibibytes: refused by arithmetic, before anything is allocated.
TEST_F(GgufTest, RefusesSizesThatTheFileCannotHold) {
  const auto padded = [](GgufBuilder b) {
    std::string bytes = b.bytes();
    bytes.resize(160);
    return bytes;
  };
  const uint64_t huge = uint64_t{1} << 40;
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(0, huge))), HasSubstr("metadata pairs"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(huge, 0))), HasSubstr("tensors"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(0, ~uint64_t{0}))), HasSubstr("metadata pairs"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(0, 1).Put(huge))),
              HasSubstr("cut short within the metadata"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(0, 1).Text("k").Put<uint32_t>(8).Put(huge))),
              HasSubstr("key k"));
  for (const uint32_t type : {0u, 4u, 6u, 8u, 12u}) {
    EXPECT_THAT(
        ErrorOf(padded(GgufBuilder().Head(0, 1).Text("k").Put<uint32_t>(9).Put(type).Put(huge))),
        HasSubstr("key k"));
  }
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {huge}, 0, 0))),
              HasSubstr("tensor t: its"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {huge, huge, huge}, 0, 0))),
              HasSubstr("overflows"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {uint64_t{1} << 62}, 0, 0))),
              HasSubstr("overflows"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {~uint64_t{0}}, 0, 0))),
              HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {4}, 0, huge))),
              HasSubstr("cut short"));
  EXPECT_THAT(ErrorOf(padded(GgufBuilder().Head(1, 0).Tensor("t", {4}, 0, ~uint64_t{31}))),
              HasSubstr("cut short"));
}

TEST_F(GgufTest, RefusesWhatIsNotWellFormed) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("not a GGUF file"));
  EXPECT_THAT(ErrorOf("something else"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(ErrorOf("PK\3\4 something else"), HasSubstr("is a ZIP archive"));
  EXPECT_THAT(ErrorOf(std::string("GGUF\1\0\0\0", 8)), HasSubstr("version 1"));
  EXPECT_THAT(ErrorOf(GgufBuilder().Head(0, 2).Pair("k", 1u).Pair("k", 2u).bytes()),
              HasSubstr("key k: given twice"));
  EXPECT_THAT(ErrorOf(GgufBuilder().Head(0, 1).Text("k").Put<uint32_t>(99).Put(0).bytes()),
              HasSubstr("key k"));
  EXPECT_THAT(ErrorOf(GgufBuilder()
                          .Head(0, 1)
                          .Text("k")
                          .Put<uint32_t>(9)
                          .Put<uint32_t>(9)
                          .Put<uint64_t>(0)
                          .bytes()),
              HasSubstr("key k"));
  const auto with = [](uint64_t offset, uint32_t type, uint64_t size) {
    GgufBuilder b;
    b.Head(2, 0).Tensor("a", {8}, 0, 0).Tensor("b", {size}, type, offset).Align();
    for (int i = 0; i < 64; ++i) b.Put(0.0f);
    return b.bytes();
  };
  EXPECT_EQ(ErrorOf(with(32, 0, 8)), "opened");
  EXPECT_THAT(ErrorOf(with(0, 0, 8)), HasSubstr("overlap"));
  EXPECT_THAT(ErrorOf(with(8, 0, 8)), HasSubstr("not aligned"));
  EXPECT_THAT(ErrorOf(with(32, 77, 8)), HasSubstr("unknown type 77"));
  EXPECT_THAT(ErrorOf(with(32, 8, 8)), HasSubstr("whole Q8_0 blocks"));
  EXPECT_THAT(ErrorOf(GgufBuilder().Head(1, 0).Tensor("t", {1, 1, 1, 1, 1}, 0, 0).bytes()),
              HasSubstr("more than 4"));
  const auto unreadable = Open(GgufBuilder().Head(1, 0).Tensor("t", {0}, 12, 0).Align().bytes());
  ASSERT_TRUE(unreadable.ok());
  EXPECT_THAT(std::string((*unreadable)->Read((*unreadable)->tensors()[0]).status().message()),
              HasSubstr("is Q4_K"));
}

TEST_F(GgufTest, AnyTruncationIsRefused) {
  GgufBuilder b;
  b.Head(1, 2).Pair("u", 7u).Pair("s", std::string("text")).Tensor("t", {8}, 0, 0).Align();
  for (int i = 0; i < 8; ++i) b.Put(1.0f);
  ASSERT_EQ(ErrorOf(b.bytes()), "opened");
  for (size_t size = 0; size < b.bytes().size(); ++size)
    EXPECT_NE(ErrorOf(b.bytes().substr(0, size)), "opened") << size;
}

// A model of one layer, width 4, one head of width 4: every q row holds its own number.
std::string SmallModel(const std::string& architecture, const std::string& scaling = "") {
  struct Entry {
    std::string name;
    std::vector<uint64_t> dimensions;
  };
  std::vector<Entry> tensors = {
      {"token_embd.weight", {4, 3}},        {"output_norm.weight", {4}},
      {"blk.0.attn_norm.weight", {4}},      {"blk.0.attn_q.weight", {4, 4}},
      {"blk.0.attn_k.weight", {4, 4}},      {"blk.0.attn_v.weight", {4, 4}},
      {"blk.0.attn_output.weight", {4, 4}}, {"blk.0.ffn_norm.weight", {4}},
      {"blk.0.ffn_gate.weight", {4, 8}},    {"blk.0.ffn_up.weight", {4, 8}},
      {"blk.0.ffn_down.weight", {8, 4}}};
  if (architecture == "qwen3") {
    tensors.push_back({"blk.0.attn_q_norm.weight", {4}});
    tensors.push_back({"blk.0.attn_k_norm.weight", {4}});
  }
  const auto key = [&](const char* name) { return architecture + "." + name; };
  GgufBuilder b;
  b.Head(tensors.size(), 9 + (scaling.empty() ? 0 : 1)).Pair("general.architecture", architecture);
  b.Pair(key("embedding_length"), 4u)
      .Pair(key("block_count"), 1u)
      .Pair(key("feed_forward_length"), 8u)
      .Pair(key("attention.key_length"), 4u);
  b.Pair(key("attention.head_count"), 1u).Pair(key("rope.freq_base"), 100000.0f);
  b.Pair(key("attention.layer_norm_rms_epsilon"), 1e-5f).Pair("tokenizer.ggml.eos_token_id", 2u);
  if (!scaling.empty()) b.Pair(key("rope.scaling.type"), scaling);
  uint64_t offset = 0;
  for (const Entry& entry : tensors) {
    b.Tensor(entry.name, entry.dimensions, 0, offset);
    uint64_t n = 1;
    for (const uint64_t size : entry.dimensions) n *= size;
    offset += (4 * n + 31) / 32 * 32;
  }
  b.Align();
  for (const Entry& entry : tensors) {
    const uint64_t rows = entry.dimensions.size() == 2 ? entry.dimensions[1] : 1;
    for (uint64_t row = 0; row < rows; ++row) {
      for (uint64_t i = 0; i < entry.dimensions[0]; ++i) b.Put(static_cast<float>(row));
    }
    b.Align();
  }
  return b.bytes();
}

TEST_F(GgufTest, BecomesAPolicyWithHuggingFacesRowOrder) {
  auto opened = Open(SmallModel("llama"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::shared_ptr<const GgufFile> file = *std::move(opened);
  const auto config = ModelConfigFromGguf(*file);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocabulary_size, 3);
  EXPECT_EQ(config->num_kv_heads, 1);
  EXPECT_TRUE(config->is_tied);
  EXPECT_EQ(config->rope_theta, 100000.0);
  EXPECT_EQ(config->norm_epsilon, 1e-5);
  EXPECT_THAT(config->end_token_ids, ElementsAre(2));
  const auto tensors = TensorsOfGguf(file, *config);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const auto weights = ReadAllTensors(*tensors, ParameterLayout(*config, HeadKind::kLanguageModel));
  ASSERT_TRUE(weights.ok()) << weights.status();
  const auto rows = [&](const char* name) {
    const std::vector<float>& values = (*weights)->Find(name)->values;
    return std::vector<float>{values[0], values[4], values[8], values[12]};
  };
  EXPECT_THAT(rows("model.layers.0.self_attn.q_proj.weight"),
              ElementsAre(0, 2, 1, 3));  // pairs (i, i + 2) again
  EXPECT_THAT(rows("model.layers.0.self_attn.k_proj.weight"), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(rows("model.layers.0.self_attn.v_proj.weight"), ElementsAre(0, 1, 2, 3));
}

TEST_F(GgufTest, ReadsQwen3WithItsHeadNorms) {
  auto opened = Open(SmallModel("qwen3"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::shared_ptr<const GgufFile> file = *std::move(opened);
  const auto config = ModelConfigFromGguf(*file);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->is_qk_normed);
  const auto tensors = TensorsOfGguf(file, *config);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const auto weights = ReadAllTensors(*tensors, ParameterLayout(*config, HeadKind::kLanguageModel));
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ((*weights)->Find("model.layers.0.self_attn.q_norm.weight")->values.size(), 4u);
  const std::vector<float>& queries =
      (*weights)->Find("model.layers.0.self_attn.q_proj.weight")->values;
  EXPECT_THAT((std::vector<float>{queries[0], queries[4], queries[8], queries[12]}),
              ElementsAre(0, 1, 2, 3));  // only Llama's rows lie otherwise in the file
}

TEST_F(GgufTest, RefusesModelsThatItWouldGetWrong) {
  const auto yarn = Open(SmallModel("llama", "yarn"));
  ASSERT_TRUE(yarn.ok()) << yarn.status();
  EXPECT_THAT(std::string(ModelConfigFromGguf(**yarn).status().message()),
              HasSubstr("rope.scaling.type yarn"));
  const auto other =
      Open(GgufBuilder().Head(0, 1).Pair("general.architecture", std::string("gemma3")).bytes());
  EXPECT_FALSE(ModelConfigFromGguf(**other).ok());
  const auto none = Open(GgufBuilder().Head(0, 0).bytes());
  EXPECT_THAT(std::string(ModelConfigFromGguf(**none).status().message()),
              HasSubstr("general.architecture"));
}

}  // namespace
}  // namespace routewright
