// Checkpoints for tests: any number of ranks' shares of random state, saved as the ranks would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/random.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/checkpoint/checkpoint_files.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_saver.h"

namespace routewright {

inline ModelConfig SmallestConfig() {
  ModelConfig config = TinyModelConfig();
  config.vocabulary_size = 7;
  config.width = 4;
  config.intermediate_width = 4;
  config.num_layers = 1;
  config.num_heads = 1;
  config.num_kv_heads = 1;
  return config;
}

// The state of whole models, by model, kind and block: what a step's number draws.
class TestState {
 public:
  TestState(const ModelConfig& config, const std::vector<std::string>& models, int64_t step) {
    for (const std::string& model : models) {
      const ParameterLayout layout = LayoutOfModel(model, config);
      for (size_t b = 0; b < layout.blocks().size(); ++b) {
        for (int kind = 0; kind < (HasMoments(model) ? 3 : 1); ++kind) {
          std::vector<float>& values = values_[model][kind].emplace_back();
          const uint64_t key = StreamKey(step, model, 100 * kind + b);
          for (int64_t i = 0; i < layout.blocks()[b].num_elements; ++i) {
            values.push_back(static_cast<float>(RandomUniform(key, i) - 0.5));
          }
        }
      }
    }
  }

  // Rank `rank`'s of `num_ranks`, as even as can be; views of this object.
  StateShare Share(int rank, int num_ranks, int64_t optimizer_steps) const {
    StateShare share;
    for (const auto& [model, kinds] : values_) {
      std::vector<BlockPart>* const parts[] = {&share[model].weights, &share[model].first_moments,
                                               &share[model].second_moments};
      for (const auto& [kind, blocks] : kinds) {
        for (const std::vector<float>& block : blocks) {
          const int64_t size = block.size(), each = (size + num_ranks - 1) / num_ranks;
          const int64_t begin = std::min(size, rank * each), end = std::min(size, begin + each);
          parts[kind]->push_back({begin, std::span(block).subspan(begin, end - begin)});
        }
      }
      share[model].optimizer_steps = optimizer_steps;
    }
    return share;
  }

  // Every element, read in pieces of `chunk`, has its bits.
  void ExpectIn(const CheckpointReader& reader, int64_t chunk) const {
    for (const auto& [model, kinds] : values_) {
      for (const auto& [kind, blocks] : kinds) {
        for (size_t b = 0; b < blocks.size(); ++b) {
          const std::vector<float>& expected = blocks[b];
          std::vector<float> read(expected.size());
          for (size_t begin = 0; begin < read.size(); begin += chunk) {
            const size_t count = std::min<size_t>(chunk, read.size() - begin);
            ASSERT_TRUE(reader
                            .Read(model, static_cast<StateKind>(kind), b, begin,
                                  std::span(read).subspan(begin, count))
                            .ok());
          }
          ASSERT_EQ(read, expected) << model << " kind " << kind << " block " << b;
        }
      }
    }
  }

 private:
  std::map<std::string, std::map<int, std::vector<std::vector<float>>>> values_;
};

struct TestCheckpoint {
  int64_t step = 0;
  int num_ranks = 1;
  std::vector<std::string> models = {"policy"};
  ModelConfig model = SmallestConfig();
  CheckpointConfig config = {};
};

inline CheckpointTexts MakeTexts(const TestCheckpoint& checkpoint) {
  CheckpointTexts texts;
  CheckpointManifest& manifest = texts.manifest;
  manifest.set_step(checkpoint.step);
  manifest.set_policy_version(checkpoint.step + 1);
  manifest.set_num_ranks(checkpoint.num_ranks);
  manifest.mutable_learner()->set_question_cursor(16 * checkpoint.step);
  manifest.mutable_learner()->set_ledger_total_picousd(int64_t{1} << 60);
  CostWindowState* window = manifest.mutable_learner()->add_cost_windows();
  window->set_data_source("capital");
  window->add_root_costs(0.1 + 0.2);
  texts.texts["config.resolved.yaml"] = "run:\n  name: test\n";
  texts.texts["policy/config.json"] = ModelConfigToJson(checkpoint.model, "float32");
  texts.texts["policy/tokenizer.json"] = "{\"a\": 1}";
  return texts;
}

// Saves as num_ranks ranks do, each on its own thread. Rank 0's status, or else the first failure.
inline absl::Status SaveTestCheckpoint(FileSystem& files, const std::string& folder,
                                       const TestCheckpoint& checkpoint) {
  const TestState state(checkpoint.model, checkpoint.models, checkpoint.step);
  std::vector<std::unique_ptr<CheckpointSaver>> savers;
  for (int rank = 0; rank < checkpoint.num_ranks; ++rank) {
    savers.push_back(std::make_unique<CheckpointSaver>(
        CheckpointSaver::Options{.files = &files,
                                 .folder = folder,
                                 .config = checkpoint.config,
                                 .model = checkpoint.model,
                                 .rank = rank,
                                 .num_ranks = checkpoint.num_ranks}));
  }
  absl::Status status = savers[0]->Prepare(checkpoint.step, checkpoint.models);
  for (int rank = checkpoint.num_ranks - 1; rank >= 0 && status.ok(); --rank) {
    status = savers[rank]->Start(
        checkpoint.step,
        state.Share(rank, checkpoint.num_ranks, /*optimizer_steps=*/checkpoint.step),
        rank == 0 ? std::optional(MakeTexts(checkpoint)) : std::nullopt);
  }
  for (int rank = checkpoint.num_ranks - 1; rank >= 0; --rank) {
    const absl::Status waited = savers[rank]->Wait();
    if (!waited.ok()) savers[0]->GiveUp();
    if (status.ok()) status = waited;
  }
  return status;
}

inline void FlipBit(const std::string& path, uint64_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(bit / 8);
  const char byte = static_cast<char>(file.get() ^ (1 << (bit % 8)));
  file.seekp(bit / 8);
  file.put(byte);
}

}  // namespace routewright
