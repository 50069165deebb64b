#include "trainer/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "common/random.h"
#include "policy/policy_folder.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/cut_file_system.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/checkpoint_writer.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;

ModelConfig SmallestConfig() {
  ModelConfig config = TinyModelConfig();
  config.vocabulary_size = 7;
  config.width = 4;
  config.intermediate_width = 4;
  config.num_layers = 1;
  config.num_heads = 1;
  config.num_kv_heads = 1;
  return config;
}

CheckpointContents MakeContents(int64_t step) {
  CheckpointContents contents;
  contents.step = step;
  contents.policy_version = step + 1;
  contents.num_ranks = 2;
  contents.learner.set_question_cursor(16 * step);
  contents.learner.set_kl_coefficient(0.1);
  contents.learner.set_ledger_total_picousd(int64_t{1} << 60);
  CostWindowState* window = contents.learner.add_cost_windows();
  window->set_data_source("capital");
  window->add_root_costs(0.1 + 0.2);
  contents.config = SmallestConfig();
  contents.models["policy"] = {.weights = TinyModelWeights(contents.config, step),
                               .first_moments = TinyModelWeights(contents.config, step + 100),
                               .second_moments = TinyModelWeights(contents.config, step + 200),
                               .optimizer_steps = step};
  contents.config_yaml = "run:\n  name: test\n";
  return contents;
}

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    std::ofstream(temp_.path() + "/tokenizer.json") << "{\"a\": 1}";
    std::ofstream(temp_.path() + "/chat_template.jinja") << "plain";
  }
  absl::Status Save(int64_t step, FileSystem& files = FileSystem::Posix()) {
    CheckpointContents contents = MakeContents(step);
    contents.policy_folder = temp_.path();
    return CheckpointStore(files, folder(), /*keep_last=*/2).Save(contents);
  }
  absl::StatusOr<std::optional<LoadedCheckpoint>> LoadNewest() {
    return CheckpointStore(FileSystem::Posix(), folder(), 2).LoadNewest();
  }
  std::string folder() const { return temp_.path() + "/checkpoints"; }
  std::string Path(int64_t step, const std::string& file) const {
    return CheckpointStore(FileSystem::Posix(), folder(), 2).FolderOf(step) + "/" + file;
  }
  static void FlipBit(const std::string& path, uint64_t bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(bit / 8);
    const char byte = static_cast<char>(file.get() ^ (1 << (bit % 8)));
    file.seekp(bit / 8);
    file.put(byte);
  }

  TempFolder temp_;
};

void ExpectSameTensors(const PolicyWeights& actual, const PolicyWeights& expected) {
  ASSERT_EQ(actual.tensors().size(), expected.tensors().size());
  for (const auto& [name, tensor] : expected.tensors()) {
    EXPECT_EQ(actual.Find(name)->values, tensor.values) << name;
  }
}

TEST_F(CheckpointTest, ComesBackBitwise) {
  ASSERT_TRUE(Save(3).ok());
  const LoadedCheckpoint loaded = LoadNewest().value().value();
  const CheckpointContents saved = MakeContents(3);
  EXPECT_EQ(loaded.manifest.step(), 3);
  EXPECT_EQ(loaded.manifest.policy_version(), 4);
  EXPECT_EQ(loaded.manifest.learner().question_cursor(), 48u);
  EXPECT_EQ(loaded.manifest.learner().ledger_total_picousd(), int64_t{1} << 60);
  EXPECT_EQ(loaded.manifest.learner().cost_windows(0).root_costs(0), 0.1 + 0.2);
  const ModelState& state = loaded.models.at("policy");
  EXPECT_EQ(state.optimizer_steps, 3);
  ExpectSameTensors(*state.weights, *saved.models.at("policy").weights);
  ExpectSameTensors(*state.first_moments, *saved.models.at("policy").first_moments);
  ExpectSameTensors(*state.second_moments, *saved.models.at("policy").second_moments);
}

TEST_F(CheckpointTest, ItsPolicyFolderCanBeRunAsItIs) {
  ASSERT_TRUE(Save(3).ok());
  const std::string policy = Path(3, "policy");
  const ModelConfig config = LoadModelConfig(policy).value();
  ExpectSameTensors(*LoadPolicyWeights(policy, config).value(),
                    *MakeContents(3).models.at("policy").weights);
  EXPECT_TRUE(std::filesystem::exists(policy + "/tokenizer.json"));
  EXPECT_TRUE(std::filesystem::exists(policy + "/chat_template.jinja"));
}

TEST_F(CheckpointTest, ACriticOrAValueHeadIsKeptBesideThePolicy) {
  CheckpointContents contents = MakeContents(1);
  for (const char* name : {"critic", "value_head"}) {
    const ParameterLayout layout = LayoutOfModel(name, contents.config);
    std::map<std::string, HostTensor> tensors;
    for (const BlockLayout& block : layout.blocks()) {
      for (const TensorSlot& slot : block.tensors) {
        tensors[slot.name] = {slot.shape, std::vector<float>(slot.num_elements, 0.25f)};
      }
    }
    const auto weights = std::make_shared<PolicyWeights>(tensors);
    contents.models[name] = {weights, weights, weights, 9};
  }
  ASSERT_TRUE(CheckpointStore(FileSystem::Posix(), folder(), 2).Save(contents).ok());
  const LoadedCheckpoint loaded = LoadNewest().value().value();
  for (const char* name : {"critic", "value_head"}) {
    EXPECT_EQ(loaded.models.at(name).optimizer_steps, 9);
    ExpectSameTensors(*loaded.models.at(name).weights, *contents.models.at(name).weights);
  }
  EXPECT_EQ(loaded.models.at("value_head").weights->tensors().size(), 2u);
}

TEST_F(CheckpointTest, KeepsTheNewestOnly) {
  for (int64_t step : {1, 2, 3, 4}) ASSERT_TRUE(Save(step).ok());
  CheckpointStore store(FileSystem::Posix(), folder(), 2);
  EXPECT_THAT(store.Steps().value(), ::testing::ElementsAre(3, 4));
}

TEST_F(CheckpointTest, AnyFlippedBitIsRefusedByFile) {
  ASSERT_TRUE(Save(3).ok());
  int flips = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder())) {
    if (!entry.is_regular_file()) continue;
    const uint64_t bits = entry.file_size() * 8;
    for (int i = 0; i < 60; ++i, ++flips) {
      const uint64_t bit = RandomBits(/*key=*/11, flips) % bits;
      FlipBit(entry.path(), bit);
      const absl::Status status = CheckpointStore::Load(FileSystem::Posix(), Path(3, "")).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << entry.path() << " bit " << bit;
      EXPECT_THAT(std::string(status.message()), HasSubstr(entry.path().filename()));
      FlipBit(entry.path(), bit);
    }
  }
  EXPECT_GE(flips, 60 * 7);
  EXPECT_TRUE(LoadNewest().ok());
}

TEST_F(CheckpointTest, ADamagedTensorIsNamedAndThePreviousCheckpointIsUsed) {
  ASSERT_TRUE(Save(3).ok());
  ASSERT_TRUE(Save(4).ok());
  const std::string weights = Path(4, "policy/model.safetensors");
  FlipBit(weights, std::filesystem::file_size(weights) * 8 - 30);  // in the last tensor
  EXPECT_THAT(
      std::string(CheckpointStore::Load(FileSystem::Posix(), Path(4, "")).status().message()),
      HasSubstr("policy/model.safetensors is damaged: the checksum of tensor model.norm.weight"));
  EXPECT_EQ(LoadNewest().value()->manifest.step(), 3);
  EXPECT_TRUE(std::filesystem::exists(folder() + "/damaged-step-000004"));
  ASSERT_TRUE(Save(4).ok());
  EXPECT_EQ(LoadNewest().value()->manifest.step(), 4);
}

TEST_F(CheckpointTest, AMissingFileIsRefusedByName) {
  ASSERT_TRUE(Save(3).ok());
  std::filesystem::remove(Path(3, "optimizer/policy.safetensors"));
  EXPECT_THAT(
      std::string(CheckpointStore::Load(FileSystem::Posix(), Path(3, "")).status().message()),
      HasSubstr("optimizer/policy.safetensors"));
}

TEST_F(CheckpointTest, WhenAllAreDamagedItSaysWhatToDoInsteadOfStartingAnew) {
  ASSERT_TRUE(Save(3).ok());
  std::filesystem::remove(Path(3, "manifest.json"));
  const absl::Status status = LoadNewest().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--resume none"));
}

TEST_F(CheckpointTest, NoneAtAllIsNoError) { EXPECT_FALSE(LoadNewest().value().has_value()); }

TEST_F(CheckpointTest, ACutAtAnyOperationLeavesTheOldStepOrTheNewOne) {
  ASSERT_TRUE(Save(1).ok());
  CutFileSystem uncut(std::numeric_limits<int>::max());
  ASSERT_TRUE(Save(2, uncut).ok());
  const int num_operations = uncut.num_operations();
  ASSERT_GT(num_operations, 40);
  std::filesystem::remove_all(Path(2, ""));
  int old_steps = 0;
  for (int cut_at = 0; cut_at < num_operations; ++cut_at) {
    CutFileSystem files(cut_at);
    EXPECT_FALSE(Save(2, files).ok()) << "cut at " << cut_at;
    const LoadedCheckpoint loaded = LoadNewest().value().value();
    const int64_t step = loaded.manifest.step();
    old_steps += step == 1;
    ExpectSameTensors(*loaded.models.at("policy").weights,
                      *MakeContents(step).models.at("policy").weights);
    std::filesystem::remove_all(Path(2, ""));
  }
  EXPECT_GT(old_steps, num_operations - 5);
  EXPECT_TRUE(Save(2).ok());
}

TEST_F(CheckpointTest, AFullDiskSaysWhichCheckpointWasNotSaved) {
  CutFileSystem files(/*cut_at=*/10);
  EXPECT_THAT(std::string(Save(7, files).message()),
              HasSubstr("the checkpoint of step 7 was not saved: the power was cut"));
}

}  // namespace
}  // namespace switchyard
