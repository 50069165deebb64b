// A small run of the learner, all in one process: what learner_*_test.cc have in common.
#pragma once

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "policy/formats/policy_folder.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/experience/fake_trajectory_source.h"
#include "tests/trainer/update/tiny_model.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/live_page/live_state.h"
#include "trainer/loop/learner.h"

namespace routewright {

class LearnerTest : public ::testing::Test {
 protected:
  LearnerTest() {
    const ModelConfig model = TinyModelConfig();
    EXPECT_TRUE(SavePolicyFolder(temp_ / "policy", model, TensorsOf(TinyModelWeights(model, 1)),
                                 WeightFormat::kF32, /*tokenizer_folder=*/"")
                    .ok());
    for (const char* name : {"train", "held_out"}) {
      std::ofstream file(temp_ / (std::string(name) + ".jsonl"));
      for (int i = 0; i < 10; ++i) {
        file << R"({"id":")" << name << i << R"(","question":"q","golden_answers":["a"]})"
             << "\n";
      }
    }
  }

  // A deterministic GRPO run of six steps with everything in it that a checkpoint must carry on.
  RunConfig Config(const std::string& name) {
    RunConfig config;
    config.mutable_run()->set_name(name);
    config.mutable_run()->set_output_dir(temp_ / "runs");
    config.mutable_run()->set_seed(5);
    config.mutable_run()->set_deterministic(true);
    config.mutable_policy()->set_path(temp_ / "policy");
    config.mutable_policy()->set_device(PolicyConfig::DEVICE_CPU);
    config.mutable_data()->add_train()->set_path(temp_ / "train.jsonl");
    config.mutable_data()->add_held_out()->set_path(temp_ / "held_out.jsonl");
    config.mutable_reward()->set_cost_coefficient(0.6);
    config.mutable_reward()->set_cost_window(20);
    for (const char* model : {"Atlas", "Sage"}) {
      config.mutable_pool()->add_models()->set_name(model);
    }
    TrainerConfig& trainer = *config.mutable_trainer();
    trainer.set_steps(6);
    trainer.set_questions_per_step(3);
    trainer.set_episodes_per_question(4);
    trainer.set_evaluate_every(2);
    trainer.set_evaluate_questions(5);
    trainer.set_record_trajectories(0.5);
    trainer.mutable_checkpoint()->set_every_steps(2);
    trainer.mutable_optimizer()->set_learning_rate(1e-3);
    trainer.mutable_loss()->set_kl_coefficient(0.1);
    trainer.mutable_loss()->set_kl_target(0.01);
    trainer.mutable_loss()->set_kl_horizon(100);
    return config;
  }

  // One process of a learner, to its end.
  absl::StatusOr<RunOutcome> Run(const RunConfig& config, const std::string& resume = "auto") {
    record_ = SourceRecord();
    LearnerParts parts;
    parts.config = &config;
    parts.communicator = communicator_.get();
    parts.code_version = "1.0+ours";
    parts.resume = resume;
    parts.submission = submission_;
    parts.is_stop_requested = [this] { return is_stop_requested_; };
    parts.live_state = live_state_;
    parts.files = &FileSystem::Posix();
    parts.open_source =
        [this](int64_t vocabulary_size) -> absl::StatusOr<std::unique_ptr<TrajectorySource>> {
      return std::make_unique<FakeTrajectorySource>(vocabulary_size, &record_, change_,
                                                    before_step_);
    };
    return RunLearner(parts);
  }

  // Runs until the process "dies" before step `step`.
  void RunUntilKilledAt(const RunConfig& config, int64_t step, const std::string& resume = "auto") {
    before_step_ = [step](const StepPlan& plan, const auto&) {
      return plan.step == step ? absl::InternalError("killed") : absl::OkStatus();
    };
    EXPECT_EQ(Run(config, resume).status().message(), "killed");
    before_step_ = {};
  }

  std::string ReadFile(const std::string& name, const std::string& file) const {
    std::ifstream stream(temp_ / ("runs/" + name + "/" + file));
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }

  // metrics.jsonl without times.
  std::vector<std::string> TimelessMetrics(const std::string& name) const {
    std::vector<std::string> lines;
    std::stringstream text(ReadFile(name, "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      nlohmann::ordered_json kept;
      const auto metrics = nlohmann::ordered_json::parse(line);
      for (const auto& [key, value] : metrics.items()) {
        const bool is_time = key.ends_with("_s") || key.ends_with("_ms");
        if (!is_time && !key.starts_with("workers/")) kept[key] = value;
      }
      lines.push_back(kept.dump());
    }
    return lines;
  }

  std::unique_ptr<CheckpointReader> Newest(const std::string& name) const {
    const CheckpointStore store(FileSystem::Posix(), temp_ / ("runs/" + name + "/checkpoints"), {});
    return CheckpointReader::OpenWhole(FileSystem::Posix(),
                                       store.FolderOf(store.Steps().value().back()))
        .value();
  }

  void ExpectSameRuns(const std::string& a, const std::string& b) const {
    EXPECT_EQ(TimelessMetrics(a), TimelessMetrics(b));
    const auto x = Newest(a), y = Newest(b);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(x->manifest().learner(),
                                                                   y->manifest().learner()));
    for (const CheckpointFile& file : x->manifest().files()) {  // their checksums are in there
      if (file.name() == "config.resolved.yaml") continue;      // has the run's name
      const auto same =
          std::find_if(y->manifest().files().begin(), y->manifest().files().end(),
                       [&](const CheckpointFile& other) {
                         return google::protobuf::util::MessageDifferencer::Equals(file, other);
                       });
      EXPECT_NE(same, y->manifest().files().end()) << file.name();
    }
    for (const auto& entry :
         std::filesystem::directory_iterator(temp_ / ("runs/" + a + "/trajectories"))) {
      const std::string file = "trajectories/" + entry.path().filename().string();
      EXPECT_EQ(ReadFile(a, file), ReadFile(b, file));
    }
  }

  TempFolder temp_;
  std::unique_ptr<Communicator> communicator_ = NewLocalCommunicator();
  SourceRecord record_;
  FakeTrajectorySource::Change change_;
  FakeTrajectorySource::BeforeStep before_step_;
  bool is_stop_requested_ = false;
  std::string submission_;
  LiveState* live_state_ = nullptr;
};

}  // namespace routewright
