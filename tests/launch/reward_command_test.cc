// `routewright reward` as a user runs it: lines in, lines out, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "common/file_system.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code;
  std::string out, err;
};

Outcome RunReward(const std::string& arguments, const std::string& input) {
  TempFolder folder;
  std::ofstream(folder / "in") << input;
  const char* binary = std::getenv("ROUTEWRIGHT_BINARY");
  EXPECT_NE(binary, nullptr);
  const std::string command = std::string(binary) + " reward " + arguments + " < " +
                              (folder / "in") + " > " + (folder / "out") + " 2> " +
                              (folder / "err");
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), *FileSystem::Posix().Read(folder / "out"),
          *FileSystem::Posix().Read(folder / "err")};
}

constexpr char kGood[] =
    R"({"response":"<think>t</think><answer>a1</answer>","golden_answers":["a1"]})";

TEST(RewardCommandTest, LinesComeOutInOrder) {
  const Outcome outcome = RunReward(
      "--mode reference", std::string(kGood) + "\n\n" + R"({"response":"","golden_answers":[]})");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "{\"answer\":\"a1\",\"em\":1.0,\"f1\":1.0,\"format_reward\":0.0,\"valid_routes\":0,"
            "\"reward\":1.0}\n"
            "{\"answer\":null,\"em\":0.0,\"f1\":0.0,\"format_reward\":-1.0,\"valid_routes\":0,"
            "\"reward\":-1.0}\n");
}

TEST(RewardCommandTest, ABadLineIsNamedAndTheOthersAreScored) {
  const Outcome outcome =
      RunReward("--mode reference", std::string(kGood) + "\n{oops\n" + kGood + "\n");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "routewright reward: line 2 is not valid JSON\n");
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
}

TEST(RewardCommandTest, StrictIsTheDefault) {
  const Outcome outcome = RunReward(
      "--metric f1 --cost-coefficient 0.5",
      R"({"episodeId":"e","status":"EPISODE_STATUS_ANSWERED","costReward":1,)"
      R"("question":{"goldenAnswers":["x"]},"actions":[{"kind":"ACTION_KIND_ANSWER","answer":"x"}]})");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("\"episode_id\":\"e\""));
  EXPECT_THAT(outcome.out, HasSubstr("\"reward\":1.0"));
}

TEST(RewardCommandTest, BadUsageExitsWithTwo) {
  EXPECT_EQ(RunReward("--mode loose", "").exit_code, 2);
  EXPECT_EQ(RunReward("--cost-coefficient 2", "").exit_code, 2);
  EXPECT_EQ(RunReward("--mode reference --metric f1", "").exit_code, 2);
  EXPECT_EQ(RunReward("--help", "").exit_code, 0);
  EXPECT_THAT(RunReward("--help", "").out, HasSubstr("example:"));
}

TEST(RewardCommandTest, AFullDiskIsReported) {
  const char* binary = std::getenv("ROUTEWRIGHT_BINARY");
  const std::string command = std::string("echo '") + kGood + "' | " + binary +
                              " reward --mode reference > /dev/full 2> /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
}

}  // namespace
}  // namespace routewright
