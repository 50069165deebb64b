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

class DemonstrationsTest : public ::testing::Test {
 protected:
  std::vector<std::string> Write(const std::string& text) {
    std::ofstream(temp_ / "demonstrations.jsonl") << text;
    return {temp_ / "demonstrations.jsonl"};
  }
  // Demonstration i is the tokens 0 i i, of which the last two are the policy's.
  std::vector<std::string> WriteMany(int count) {
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
  const auto paths = WriteMany(20);
  const auto demonstrations = Demonstrations::Load(paths, 100, /*seed=*/1).value();
  const auto first = Ids(demonstrations->Draw(20)), second = Ids(demonstrations->Draw(20));
  EXPECT_EQ(std::set<uint32_t>(first.begin(), first.end()).size(), 20u);
  EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), second.begin()));
  EXPECT_NE(first, second);
}

TEST_F(DemonstrationsTest, ScoresTheirPolicyTokens) {
  const auto paths = WriteMany(3);
  const Batch batch = Demonstrations::Load(paths, 100, 1).value()->Draw(3);
  EXPECT_THAT(batch.scored, ::testing::ElementsAre(1, 2, 1, 2, 1, 2));
  EXPECT_THAT(batch.offsets, ::testing::ElementsAre(0, 3, 6, 9));
}

TEST_F(DemonstrationsTest, ARestoredCursorGoesOn) {
  const auto paths = WriteMany(10);
  const auto whole = Demonstrations::Load(paths, 100, 1).value();
  const auto resumed = Demonstrations::Load(paths, 100, 1).value();
  whole->Draw(13);
  ASSERT_TRUE(resumed->Restore(13, whole->digest()).ok());
  EXPECT_EQ(Ids(whole->Draw(9)), Ids(resumed->Draw(9)));
  EXPECT_EQ(resumed->Restore(1, whole->digest() + 1).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DemonstrationsTest, BadLinesAreNamedByFileAndLine) {
  const std::string good = "{\"token_ids\":[0,1],\"provenance\":[1,2]}\n";
  const auto refusal = [&](const std::string& text, int64_t vocabulary = 100) {
    const auto paths = Write(text);
    return std::string(Demonstrations::Load(paths, vocabulary, 1).status().message());
  };
  EXPECT_THAT(refusal(good + "{\"token_ids\":[0\n"),
              HasSubstr("demonstrations.jsonl:2: not a trajectory"));
  EXPECT_THAT(refusal(good, 1),
              ::testing::AllOf(HasSubstr("demonstrations.jsonl:1"), HasSubstr("id 1")));
  EXPECT_THAT(refusal("{\"token_ids\":[0,1],\"provenance\":[1,1]}\n"),
              HasSubstr("no token is the policy's"));
  EXPECT_THAT(refusal(""), HasSubstr("hold no trajectory"));
}

TEST_F(DemonstrationsTest, AMissingFileIsNamed) {
  const std::vector<std::string> paths = {"/nowhere/d.jsonl"};
  EXPECT_THAT(std::string(Demonstrations::Load(paths, 100, 1).status().message()),
              HasSubstr("/nowhere/d.jsonl"));
}

}  // namespace
}  // namespace routewright
