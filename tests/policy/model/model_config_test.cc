#include "policy/model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kLlama = R"({"model_type": "llama", "vocab_size": 100, "hidden_size": 32,
  "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2)";

std::string Llama(const std::string& more) { return std::string(kLlama) + more + "}"; }

std::string ErrorOf(const std::string& json) {
  const auto config = ParseModelConfig(json, "x/config.json");
  EXPECT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("x/config.json"));
  return std::string(config.status().message());
}

TEST(ModelConfigTest, ReadsALlamaWithTheFamilysDefaults) {
  const auto config = ParseModelConfig(Llama(R"(, "eos_token_id": 7)"), "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, Architecture::kLlama);
  EXPECT_EQ(config->head_width, 8);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->max_positions, 2048);
  EXPECT_DOUBLE_EQ(config->rope_theta, 10000);
  EXPECT_DOUBLE_EQ(config->norm_epsilon, 1e-6);
  EXPECT_FALSE(config->is_tied);
  EXPECT_FALSE(config->is_qkv_biased);
  EXPECT_THAT(config->end_token_ids, ElementsAre(7));
}

TEST(ModelConfigTest, ReadsAQwen2) {
  const auto config =
      ParseModelConfig(R"({"model_type": "qwen2", "vocab_size": 100, "hidden_size": 32,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "rope_theta": 1000000, "tie_word_embeddings": true, "sliding_window": 4096, "use_sliding_window": false,
    "rope_scaling": null, "eos_token_id": [1, 2]})",
                       "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, Architecture::kQwen2);
  EXPECT_TRUE(config->is_qkv_biased);
  EXPECT_TRUE(config->is_tied);
  EXPECT_EQ(config->head_width, 16);
  EXPECT_EQ(config->num_kv_heads, 4);
  EXPECT_DOUBLE_EQ(config->rope_theta, 1e6);
  EXPECT_THAT(config->end_token_ids, ElementsAre(1, 2));
}

TEST(ModelConfigTest, ReadsRopeParametersOfNewerFiles) {
  const auto config = ParseModelConfig(
      Llama(R"(, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"})"), "x");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_DOUBLE_EQ(config->rope_theta, 5e5);
}

// Values of transformers' _compute_llama3_parameters for Llama 3.2's settings, head width 64.
TEST(ModelConfigTest, ScalesFrequenciesAsLlama3) {
  const auto config = ParseModelConfig(
      Llama(R"(, "head_dim": 64, "rope_theta": 500000.0, "rope_scaling": {"factor": 32.0,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3"})"),
      "x");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<double> frequencies = config->RopeFrequencies();
  ASSERT_EQ(frequencies.size(), 32u);
  EXPECT_DOUBLE_EQ(frequencies[0], 1.0);
  EXPECT_NEAR(frequencies[14], 3.2114e-3, 1e-6);                        // short wave: as it is
  EXPECT_NEAR(frequencies[31], std::pow(5e5, -62.0 / 64) / 32, 1e-12);  // long wave: / factor
  EXPECT_LT(frequencies[16], std::pow(5e5, -32.0 / 64));                // between: blended
  EXPECT_GT(frequencies[16], std::pow(5e5, -32.0 / 64) / 32);
}

TEST(ModelConfigTest, SurvivesBeingWrittenAndReadAgain) {
  ModelConfig config = *ParseModelConfig(
      Llama(R"(, "rope_theta": 12345.678, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "eos_token_id": [3, 4])"),
      "x");
  const auto again = ParseModelConfig(ModelConfigToJson(config, "float32"), "y");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->rope_theta, config.rope_theta);
  EXPECT_EQ(again->norm_epsilon, config.norm_epsilon);
  EXPECT_EQ(again->rope_scaling.factor, 8.0);
  EXPECT_EQ(again->is_tied, true);
  EXPECT_EQ(again->end_token_ids, config.end_token_ids);
  EXPECT_EQ(again->num_kv_heads, 2);
}

TEST(ModelConfigTest, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("JSON object"));
  EXPECT_THAT(ErrorOf("{"), HasSubstr("JSON object"));
  EXPECT_THAT(ErrorOf(R"({"model_type": "gpt2"})"), HasSubstr("model_type 'gpt2'"));
  EXPECT_THAT(ErrorOf(R"({"model_type": "llama"})"), HasSubstr("'vocab_size' is missing"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "head_dim": 7)")), HasSubstr("'head_dim' must be even"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "head_dim": "8")")), HasSubstr("'head_dim' must be an integer"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "head_dim": -8)")), HasSubstr("outside"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "max_position_embeddings": 99999999999999999999)")),
              HasSubstr("max_position"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "max_position_embeddings": 18446744073709551615)")),
              HasSubstr("outside"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "hidden_act": "gelu")")), HasSubstr("hidden_act 'gelu'"));
  EXPECT_THAT(ErrorOf(R"({"model_type": "gemma"})"),
              HasSubstr("model_type 'gemma' is not supported; these are: llama, qwen2, qwen3"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "rms_norm_eps": 0)")), HasSubstr("'rms_norm_eps'"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "eos_token_id": 100)")), HasSubstr("'eos_token_id'"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "rope_scaling": {"rope_type": "yarn", "factor": 2})")),
              HasSubstr("'yarn'"));
  EXPECT_THAT(ErrorOf(Llama(R"(, "rope_scaling": {"type": "llama3"})")),
              HasSubstr("'factor' is missing"));
}

TEST(ModelConfigTest, OfEveryArchitecturePartsThatItsBlocksLackAreRefused) {
  for (const ArchitectureFacts& facts : Architectures()) {
    const std::string with = absl::StrCat(R"({"model_type": ")", facts.model_type, R"(", )");
    for (const char* key : facts.unsupported) {
      if (key == nullptr) continue;
      EXPECT_THAT(ErrorOf(absl::StrCat(with, "\"", key, "\": true}")),
                  HasSubstr(absl::StrCat("'", key, "' is not supported for model_type ")));
      EXPECT_THAT(ErrorOf(absl::StrCat(with, "\"", key, "\": 1}")),
                  HasSubstr("must be true or false"));
    }
  }
}

TEST(ModelConfigTest, WhatIsWrittenOfEveryArchitectureReadsBackTheSame) {
  const std::vector<ModelConfig> configs = TinyConfigs();
  ASSERT_EQ(configs.size(), Architectures().size());
  for (size_t i = 0; i < configs.size(); ++i) {
    const ModelConfig& written = configs[i];
    EXPECT_EQ(written.architecture, Architectures()[i].name) << "tiny_policy.h has one of each";
    const std::string json = ModelConfigToJson(written, "float32");
    const auto read = ParseModelConfig(json, "x/config.json");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->architecture, written.architecture);
    EXPECT_EQ(read->is_qkv_biased, written.is_qkv_biased);
    EXPECT_EQ(read->is_qk_normed, written.is_qk_normed);
    EXPECT_EQ(ModelConfigToJson(*read, "float32"), json);
  }
}

TEST(ModelConfigTest, AddsTheEndTokensOfGenerationConfigOnce) {
  ModelConfig config = *ParseModelConfig(Llama(R"(, "eos_token_id": 7)"), "x");
  ASSERT_TRUE(AddEndTokens(R"({"eos_token_id": [7, 9]})", "g", &config).ok());
  EXPECT_THAT(config.end_token_ids, ElementsAre(7, 9));
  EXPECT_FALSE(AddEndTokens("nonsense", "g", &config).ok());
}

}  // namespace
}  // namespace routewright
