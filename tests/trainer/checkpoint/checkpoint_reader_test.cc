#include "trainer/checkpoint/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/random.h"
#include "policy/formats/policy_folder.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/checkpoint/test_checkpoint.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class CheckpointReaderTest : public ::testing::Test {
 protected:
  std::string Save(const TestCheckpoint& checkpoint) {
    const absl::Status status =
        SaveTestCheckpoint(FileSystem::Posix(), temp_.path() + "/checkpoints", checkpoint);
    EXPECT_TRUE(status.ok()) << status;
    return CheckpointStore(FileSystem::Posix(), temp_.path() + "/checkpoints", {})
        .FolderOf(checkpoint.step);
  }
  static absl::Status Open(const std::string& folder) {
    return CheckpointReader::OpenWhole(FileSystem::Posix(), folder).status();
  }
  static std::vector<std::filesystem::path> Files(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TempFolder temp_;
};

TEST_F(CheckpointReaderTest, AnyNumberOfWritersIsReadInAnyPiecesBitwise) {
  for (int ranks : {1, 2, 3, 4, 7}) {
    const TestCheckpoint checkpoint{.step = ranks,
                                    .num_ranks = ranks,
                                    .models = {"policy", "critic", "value_head", "reference"}};
    const auto reader = CheckpointReader::OpenWhole(FileSystem::Posix(), Save(checkpoint)).value();
    EXPECT_EQ(reader->manifest().step(), ranks);
    EXPECT_EQ(reader->manifest().learner().ledger_total_picousd(), int64_t{1} << 60);
    EXPECT_EQ(reader->manifest().learner().cost_windows(0).root_costs(0), 0.1 + 0.2);
    EXPECT_EQ(reader->OptimizerSteps("critic"), ranks);
    const TestState state(checkpoint.model, checkpoint.models, checkpoint.step);
    for (int64_t chunk : {1, 5, 1000}) state.ExpectIn(*reader, chunk);
  }
}

TEST_F(CheckpointReaderTest, ReadersShareTheCheckingOutAndNoFileIsLeftOut) {
  const std::string folder = Save({.step = 1, .num_ranks = 3});
  const std::vector<std::filesystem::path> files = Files(folder);
  ASSERT_EQ(files.size(), 3 * 2 + 3 + 1u);
  for (const auto& file : files) {
    if (file.filename() == "manifest.json") continue;
    FlipBit(file, 8 * std::filesystem::file_size(file) - 3);
    for (int readers : {1, 2, 3, 4, 5}) {
      const auto reader = CheckpointReader::Open(FileSystem::Posix(), folder).value();
      int refusals = 0;
      for (int i = 0; i < readers; ++i) refusals += !reader->Verify(i, readers).ok();
      EXPECT_EQ(refusals, 1) << file << " by " << readers;
    }
    FlipBit(file, 8 * std::filesystem::file_size(file) - 3);
  }
}

TEST_F(CheckpointReaderTest, ItsPolicyFolderIsOneForAnyNumberOfRanks) {
  for (int ranks : {1, 3}) {
    const std::string folder = Save({.step = ranks, .num_ranks = ranks});
    const ModelConfig config = LoadModelConfig(folder + "/policy").value();
    const auto weights = LoadPolicyWeights(folder + "/policy", config);
    ASSERT_TRUE(weights.ok()) << weights.status();
    const auto reader = CheckpointReader::OpenWhole(FileSystem::Posix(), folder).value();
    const TensorSource source = reader->Weights("policy");
    const ParameterLayout layout(config, HeadKind::kLanguageModel);
    for (const BlockLayout& block : layout.blocks()) {
      for (const TensorSlot& slot : block.tensors) {
        EXPECT_EQ(source(slot)->values, (*weights)->Find(slot.name)->values) << slot.name;
      }
    }
  }
}

// tests/benchmarks/checkpoint_damage.py runs it ten thousand times.
TEST_F(CheckpointReaderTest, AnyDamageIsRefusedByFile) {
  const char* more = std::getenv("ROUTEWRIGHT_TEST_DAMAGES");
  const int damages = more != nullptr ? std::atoi(more) : 600;
  const std::string folder = Save({.step = 3, .num_ranks = 2, .models = {"policy", "critic"}});
  const std::string other = Save({.step = 4, .num_ranks = 2, .models = {"policy", "critic"}});
  const std::vector<std::filesystem::path> files = Files(folder);
  int flips = 0, cuts = 0, swaps = 0, named_tensors = 0;
  for (int i = 0; i < damages; ++i) {
    const auto draw = [&](uint64_t counter, uint64_t limit) {
      return RandomBits(StreamKey(11, "damage", i), counter) % limit;
    };
    const std::filesystem::path& file = files[draw(0, files.size())];
    const std::string saved = file.string() + ".saved";
    std::filesystem::copy_file(file, saved);
    const uint64_t size = std::filesystem::file_size(file);
    switch (draw(1, 3)) {
      case 0:
        FlipBit(file, draw(2, 8 * size));
        ++flips;
        break;
      case 1:
        std::filesystem::resize_file(file, draw(2, size));
        ++cuts;
        break;
      default: {  // the other rank's file, or that of another step
        std::string from = file.string();
        const size_t rank = from.find("-00001-of-");
        if (rank != std::string::npos && draw(2, 2) == 0) {
          from[rank + 5] = '2';
        } else {
          from.replace(0, folder.size(), other);
        }
        // Texts are the same at every step.
        if (from.ends_with("yaml") || from.find("policy/config") != std::string::npos ||
            from.find("tokenizer") != std::string::npos || from.ends_with("manifest.json")) {
          FlipBit(file, draw(3, 8 * size));
          ++flips;
        } else {
          std::filesystem::copy_file(from, file, std::filesystem::copy_options::overwrite_existing);
          ++swaps;
        }
      }
    }
    const absl::Status status = Open(folder);
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << file << " damage " << i;
    ASSERT_THAT(std::string(status.message()), HasSubstr(file.filename()));
    named_tensors += std::string(status.message()).find("tensor ") != std::string::npos;
    std::filesystem::rename(saved, file);
  }
  EXPECT_TRUE(Open(folder).ok());
  EXPECT_GT(swaps, damages / 8);
  EXPECT_GT(cuts, damages / 5);
  EXPECT_GT(named_tensors, damages / 8);
  RecordProperty("flips", flips);
  std::printf("%d damages refused by file: %d flips, %d cuts, %d swaps; %d named a tensor\n",
              damages, flips, cuts, swaps, named_tensors);
}

TEST_F(CheckpointReaderTest, ADamagedTensorIsNamed) {
  const std::string folder = Save({.step = 3});
  const std::string weights = folder + "/policy/model.safetensors";
  FlipBit(weights, std::filesystem::file_size(weights) * 8 - 30);  // in the last tensor
  EXPECT_THAT(
      std::string(Open(folder).message()),
      HasSubstr(weights + " is damaged: the checksum of tensor model.norm.weight does not match"));
}

TEST_F(CheckpointReaderTest, AMissingFileIsNamed) {
  const std::string folder = Save({.step = 3, .num_ranks = 2});
  std::filesystem::remove(folder + "/optimizer/policy-00002-of-00002.safetensors");
  EXPECT_THAT(std::string(Open(folder).message()),
              HasSubstr("optimizer/policy-00002-of-00002.safetensors"));
}

TEST_F(CheckpointReaderTest, NoneIsNotFoundAndNoManifestIsNoCheckpoint) {
  EXPECT_EQ(Open(temp_.path() + "/none").code(), absl::StatusCode::kNotFound);
  const std::string folder = Save({.step = 3});
  std::filesystem::remove(folder + "/manifest.json");
  EXPECT_THAT(std::string(Open(folder).message()), HasSubstr("not a whole checkpoint"));
}

}  // namespace
}  // namespace routewright
