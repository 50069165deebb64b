#include "trainer/experience/demonstrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <vector>

#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::unique_ptr<Demonstrations>> LoadFrom(const DataConfig& data,
                                                         int64_t vocabulary_size,
                                                         int64_t max_positions = 1000) {
  RunConfig config;
  *config.mutable_data() = data;
  ModelConfig model;
  model.vocabulary_size = vocabulary_size;
  model.max_positions = max_positions;
  return Demonstrations::Load(config, model);
}

class DemonstrationsTest : public ::testing::Test {
 protected:
  DataConfig Write(const std::string& text) {
    std::ofstream(temp_ / "demonstrations.jsonl") << text;
    DataConfig data;
    data.add_demonstrations(temp_ / "demonstrations.jsonl");
    return data;
  }
  // Demonstration i is the tokens 0 i i, of which the last two are the policy's.
  DataConfig WriteMany(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string id = std::to_string(i);
      text += "{\"token_ids\":[0," + id + "," + id +
              "],\"provenance\":[\"PROVENANCE_PROMPT\",\"PROVENANCE_POLICY\",2]}\n";
    }
    return Write(text);
  }
  static std::vector<uint32_t> Ids(const Batch& batch) {
    std::vector<uint32_t> ids;
    for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
      ids.push_back(batch.token_ids[batch.offsets[b] + 1]);
    }
    return ids;
  }
  TempFolder temp_;
};

TEST_F(DemonstrationsTest, APassGivesEachOnceAndPassesDiffer) {
  const DataConfig data = WriteMany(20);
  const auto demonstrations = LoadFrom(data, 100).value();
  const auto first = Ids(demonstrations->Draw(20)), second = Ids(demonstrations->Draw(20));
  EXPECT_EQ(std::set<uint32_t>(first.begin(), first.end()).size(), 20u);
  EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), second.begin()));
  EXPECT_NE(first, second);
}

TEST_F(DemonstrationsTest, ScoresTheirPolicyTokens) {
  const DataConfig data = WriteMany(3);
  const Batch batch = LoadFrom(data, 100).value()->Draw(3);
  EXPECT_THAT(batch.scored, ::testing::ElementsAre(1, 2, 1, 2, 1, 2));
  EXPECT_THAT(batch.offsets, ::testing::ElementsAre(0, 3, 6, 9));
}

TEST_F(DemonstrationsTest, ARestoredCursorGoesOn) {
  const DataConfig data = WriteMany(10);
  const auto whole = LoadFrom(data, 100).value();
  const auto resumed = LoadFrom(data, 100).value();
  whole->Draw(13);
  ASSERT_TRUE(resumed->Restore(13, whole->digest()).ok());
  EXPECT_EQ(Ids(whole->Draw(9)), Ids(resumed->Draw(9)));
  EXPECT_EQ(resumed->Restore(1, whole->digest() + 1).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DemonstrationsTest, BadLinesAreNamedByFileAndLine) {
  const std::string good = "{\"token_ids\":[0,1],\"provenance\":[1,2]}\n";
  const auto refusal = [&](const std::string& text, int64_t vocabulary = 100) {
    const DataConfig data = Write(text);
    return std::string(LoadFrom(data, vocabulary).status().message());
  };
  EXPECT_THAT(refusal(good + "{\"token_ids\":[0\n"),
              HasSubstr("demonstrations.jsonl:2: not a trajectory"));
  EXPECT_THAT(refusal(good, 1),
              ::testing::AllOf(HasSubstr("demonstrations.jsonl:1"), HasSubstr("id 1")));
  EXPECT_THAT(refusal("{\"token_ids\":[0,1],\"provenance\":[1,1]}\n"),
              HasSubstr("left out: 1 without a token of the policy"));
  EXPECT_THAT(refusal("\x1f\x8b\x08"), HasSubstr("demonstrations.jsonl is gzip"));
  EXPECT_THAT(refusal(""), HasSubstr("hold no trajectory"));
}

// A run's own recordings hold its evaluations, its failures and its faults beside what is worth imitating.
TEST_F(DemonstrationsTest, OnlyWhatIsWorthImitatingIsLearntFrom) {
  const auto line = [](int token, const std::string& more) {
    return "{\"token_ids\":[0," + std::to_string(token) + "," + std::to_string(token) +
           "],\"provenance\":[1,2,2]," + more + "}\n";
  };
  DataConfig data = Write(
      line(1, R"("purpose":"PURPOSE_TRAIN","status":"EPISODE_STATUS_ANSWERED","reward":0.9)") +
      line(2, R"("purpose":"PURPOSE_EVAL","status":"EPISODE_STATUS_ANSWERED","reward":1)") +
      line(3, R"("status":"EPISODE_STATUS_POOL_FAILED")") +
      line(4, R"("status":"EPISODE_STATUS_NO_ANSWER","reward":-1)") +
      line(5, R"("status":"EPISODE_STATUS_ANSWERED","reward":-1)") +
      line(6, R"("status":"EPISODE_STATUS_ANSWERED","reward":0.2)") +
      line(7,
           R"("status":"EPISODE_STATUS_ANSWERED","reward":1,"question":{"question":"Held out?"})"));
  std::ofstream(temp_ / "held_out.jsonl") << R"({"question":"Held out?","answer":"x"})";
  data.add_held_out()->set_path(temp_ / "held_out.jsonl");
  const auto drawn = [&] {
    const auto demonstrations = LoadFrom(data, 100).value();
    auto ids = Ids(demonstrations->Draw(static_cast<int>(demonstrations->size())));
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  EXPECT_THAT(drawn(), ::testing::ElementsAre(1, 6));
  data.set_demonstration_min_reward(0.5);
  EXPECT_THAT(drawn(), ::testing::ElementsAre(1));
  data.set_demonstration_min_reward(0.95);
  EXPECT_THAT(std::string(LoadFrom(data, 100).status().message()),
              HasSubstr("left out: 1 about held-out questions, 2 not answered, 1 of evaluations, "
                        "3 with a lower reward"));
}

TEST_F(DemonstrationsTest, AMissingFileIsNamed) {
  DataConfig data;
  data.add_demonstrations("/nowhere/d.jsonl");
  EXPECT_THAT(std::string(LoadFrom(data, 100).status().message()), HasSubstr("/nowhere/d.jsonl"));
}

TEST_F(DemonstrationsTest, OneThatIsTooLongToLearnFromIsNamed) {
  const DataConfig data = WriteMany(3);
  EXPECT_TRUE(LoadFrom(data, 100, /*max_positions=*/3).ok());
  EXPECT_THAT(std::string(LoadFrom(data, 100, /*max_positions=*/2).status().message()),
              ::testing::AllOf(HasSubstr("demonstrations.jsonl:1"), HasSubstr("3 tokens")));
}

}  // namespace
}  // namespace routewright
