#include "policy/formats/policy_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/file_system.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PolicyFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    config_.vocabulary_size = 11;
    config_.width = 8;
    config_.intermediate_width = 12;
    config_.num_layers = 1;
    config_.num_heads = 4;
    config_.num_kv_heads = 2;
    config_.head_width = 2;
    config_.max_positions = 64;
    config_.end_token_ids = {3};
    const ParameterLayout layout(config_, HeadKind::kLanguageModel);
    for (const BlockLayout& block : layout.blocks()) {
      for (const TensorSlot& slot : block.tensors) {
        tensors_[slot.name] = {slot.shape, std::vector<float>(slot.num_elements, 0.5f)};
      }
    }
  }

  void WriteText(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

  TensorSource Tensors() const { return TensorsOf(std::make_shared<PolicyWeights>(tensors_)); }

  absl::Status Save() {
    return SavePolicyFolder(folder_, config_, Tensors(), WeightFormat::kF32, "");
  }

  // Writes the tensors that `is_wanted` picks, plus `extra`, as one safetensors file of the folder.
  template <typename Predicate>
  void WriteTensors(const std::string& name, Predicate is_wanted) {
    std::vector<SafetensorsEntry> entries;
    for (const auto& [tensor_name, tensor] : tensors_) {
      if (is_wanted(tensor_name)) entries.push_back({tensor_name, tensor.shape, tensor.values});
    }
    auto out = *FileSystem::Posix().OpenForWrite(folder_ + "/" + name);
    ASSERT_TRUE(WriteSafetensors(*out, entries, WeightFormat::kF32).ok());
    ASSERT_TRUE(out->Close().ok());
  }

  std::string LoadError() {
    const auto weights = LoadPolicyWeights(folder_, config_);
    EXPECT_FALSE(weights.ok());
    code_ = weights.status().code();
    return std::string(weights.status().message());
  }

  std::string root_ = testing::TempDir() + "policy_folder_test";
  std::string folder_ = root_ + "/policy";
  ModelConfig config_;
  std::map<std::string, HostTensor> tensors_;
  absl::StatusCode code_ = absl::StatusCode::kOk;
};

TEST_F(PolicyFolderTest, LoadsWhatItSaved) {
  tensors_["model.norm.weight"].values[3] = 0.125f;
  ASSERT_TRUE(Save().ok());
  const auto config = LoadModelConfig(folder_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_THAT(config->end_token_ids, ElementsAre(3));
  const auto weights = LoadPolicyWeights(folder_, *config);
  ASSERT_TRUE(weights.ok()) << weights.status();
  for (const auto& [name, tensor] : tensors_)
    EXPECT_EQ((*weights)->Find(name)->values, tensor.values) << name;
}

TEST_F(PolicyFolderTest, SavingRefusesAFolderThatIsThereAndLeavesNothingAside) {
  ASSERT_TRUE(Save().ok());
  EXPECT_EQ(Save().code(), absl::StatusCode::kAlreadyExists);
  tensors_.erase("model.norm.weight");
  const std::string bad = root_ + "/bad";
  EXPECT_FALSE(SavePolicyFolder(bad, config_, Tensors(), WeightFormat::kF32, "").ok());
  size_t num_entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root_)) {
    EXPECT_EQ(entry.path().filename(), "policy");
    ++num_entries;
  }
  EXPECT_EQ(num_entries, 1u);
}

TEST_F(PolicyFolderTest, CopiesTokenizerFilesAndReadsTheirEndTokens) {
  const std::string source = root_ + "/tokenizer";
  std::filesystem::create_directories(source);
  std::ofstream(source + "/tokenizer.json") << "{}";
  std::ofstream(source + "/generation_config.json") << R"({"eos_token_id": [3, 5]})";
  ASSERT_TRUE(
      SavePolicyFolder(folder_ + "/", config_, Tensors(), WeightFormat::kBf16, source).ok());
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/tokenizer.json"));
  EXPECT_THAT(LoadModelConfig(folder_)->end_token_ids, ElementsAre(3, 5));
}

TEST_F(PolicyFolderTest, SaysWhatAMissingFolderOrFileShouldHold) {
  const auto missing = LoadModelConfig(root_ + "/none");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("none is missing; a policy folder holds config.json"));
  ASSERT_TRUE(Save().ok());
  std::filesystem::remove(folder_ + "/model.safetensors");
  EXPECT_THAT(LoadError(), HasSubstr("model.safetensors is missing"));
  EXPECT_EQ(code_, absl::StatusCode::kNotFound);
}

TEST_F(PolicyFolderTest, NamesFileAndTensorOfWeightsThatDoNotFit) {
  ASSERT_TRUE(Save().ok());
  WriteTensors("model.safetensors",
               [](const std::string& name) { return name != "model.norm.weight"; });
  EXPECT_THAT(LoadError(), HasSubstr("model.safetensors: tensor model.norm.weight is missing"));
  EXPECT_EQ(code_, absl::StatusCode::kDataLoss);
  tensors_["model.layers.0.self_attn.q_proj.bias"] = {{8}, std::vector<float>(8)};
  WriteTensors("model.safetensors", [](const std::string&) { return true; });
  EXPECT_THAT(LoadError(), HasSubstr("q_proj.bias is not part of the model"));
  config_.width = 16;
  EXPECT_THAT(
      LoadError(),
      HasSubstr("model.embed_tokens.weight has the shape [11, 8], config.json asks for [11, 16]"));
}

TEST_F(PolicyFolderTest, ReadsShardsThroughTheIndex) {
  ASSERT_TRUE(Save().ok());
  std::filesystem::remove(folder_ + "/model.safetensors");
  const auto is_first = [](const std::string& name) {
    return name < "model.layers.0.mlp.up_proj.weight";
  };
  WriteTensors("one.safetensors", is_first);
  WriteTensors("two.safetensors", [&](const std::string& name) { return !is_first(name); });
  std::string map;
  for (const auto& [name, tensor] : tensors_) {
    map += (map.empty() ? "\"" : ",\"") + name + "\":\"" + (is_first(name) ? "one" : "two") +
           ".safetensors\"";
  }
  WriteText("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  const auto weights = LoadPolicyWeights(folder_, config_);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ((*weights)->tensors().size(), tensors_.size());

  std::filesystem::remove(folder_ + "/two.safetensors");
  EXPECT_THAT(LoadError(), HasSubstr("two.safetensors is missing"));
  WriteText("model.safetensors.index.json", R"({"weight_map":{"a":"../../etc/x.safetensors"}})");
  EXPECT_THAT(LoadError(), HasSubstr("must be a *.safetensors of this folder"));
  WriteText("model.safetensors.index.json", R"({"weight_map":{}})");
  EXPECT_FALSE(LoadPolicyWeights(folder_, config_).ok());
  WriteText("model.safetensors.index.json", "[");
  EXPECT_THAT(LoadError(), HasSubstr("weight_map"));
}

// transformers: tokenizer.add_tokens without model.resize_token_embeddings.
TEST_F(PolicyFolderTest, RefusesATokenizerWithIdsThatTheModelHasNot) {
  ASSERT_TRUE(Save().ok());
  WriteText("tokenizer.json",
            R"({"model":{"vocab":{"a":0,"b":10}},"added_tokens":[{"id":9,"content":"<x>"}]})");
  EXPECT_TRUE(LoadModelConfig(folder_).ok());
  WriteText("tokenizer.json",
            R"({"model":{"vocab":{"a":0,"b":10}},"added_tokens":[{"id":11,"content":"<x>"}]})");
  EXPECT_THAT(std::string(LoadModelConfig(folder_).status().message()),
              HasSubstr("token ids up to 11, but the model's vocabulary_size"));
}

TEST_F(PolicyFolderTest, WhatPeopleHaveInPlaceOfAFolderOrFileIsNamed) {
  EXPECT_THAT(std::string(LoadModelConfig("Qwen/Qwen2.5-3B-Instruct").status().message()),
              HasSubstr("hf download Qwen/Qwen2.5-3B-Instruct"));
  EXPECT_THAT(std::string(LoadModelConfig("/no/where").status().message()),
              ::testing::Not(HasSubstr("hf download")));
  ASSERT_TRUE(Save().ok());
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n";
  WriteText("model.safetensors", pointer);
  const auto config = LoadModelConfig(folder_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(std::string(OpenPolicyTensors(folder_, *config).status().message()),
              HasSubstr("model.safetensors: is a Git LFS pointer"));
  for (const char* name : {"tokenizer.json", "config.json"}) {
    WriteText(name, pointer);
    EXPECT_THAT(std::string(LoadModelConfig(folder_).status().message()),
                HasSubstr(absl::StrCat(name, " is a Git LFS pointer")));
  }
}

TEST_F(PolicyFolderTest, WhatElseIsInTheFolderSaysWhatToDo) {
  const std::pair<const char*, const char*> hints[] = {
      {"adapter_config.json", "merge_and_unload"},
      {"pytorch_model.bin", "a pickle"},
      {"consolidated.00.pth", "Meta's own files"},
      {"snapshots", "name one of those in its snapshots/"},
      {"x.Q4_K_M.gguf", "/x.Q4_K_M.gguf --to DIR"}};
  for (const auto& [name, hint] : hints) {
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(Save().ok());
    WriteText(name, "");
    EXPECT_TRUE(LoadPolicyWeights(folder_, config_).ok()) << name;
    std::filesystem::remove(folder_ + "/model.safetensors");
    EXPECT_THAT(LoadError(), HasSubstr(hint));
    std::filesystem::remove(folder_ + "/config.json");
    EXPECT_THAT(std::string(LoadModelConfig(folder_).status().message()), HasSubstr(hint));
  }
}

TEST_F(PolicyFolderTest, ATokenizerThatIsNoneIsRefused) {
  ASSERT_TRUE(Save().ok());
  for (const char* text : {"", "[]", "{\"model\":", "7"}) {
    WriteText("tokenizer.json", text);
    EXPECT_THAT(std::string(LoadModelConfig(folder_).status().message()),
                HasSubstr("tokenizer.json is no JSON object"));
  }
}

}  // namespace
}  // namespace routewright
