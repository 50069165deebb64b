// `routewright generate` and `routewright logprob` as a user runs them: lines
// in, lines out, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/file_system.h"
#include "policy/decoder/decoder.h"
#include "policy/decoder/sampler.h"
#include "policy/formats/policy_folder.h"
#include "tests/common/temp_folder.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Outcome {
  int exit_code;
  std::vector<Json> lines;
  std::string err;
};

class TokenCommandsTest : public ::testing::Test {
 protected:
  TokenCommandsTest() : policy_(folder_ / "policy") {
    EXPECT_TRUE(SavePolicyFolder(policy_, config_, TensorsOf(RandomPolicyWeights(config_, 1)),
                                 WeightFormat::kF32, "")
                    .ok());
  }

  std::string Command(const std::string& arguments) const {
    const char* binary = std::getenv("ROUTEWRIGHT_BINARY");
    EXPECT_NE(binary, nullptr);
    return absl::StrCat(binary, " ", arguments);
  }

  Outcome Run(const std::string& arguments, const std::string& input) const {
    std::ofstream(folder_ / "in") << input;
    const std::string command =
        absl::StrCat(Command(arguments), " --policy ", policy_, " < ", folder_ / "in", " > ",
                     folder_ / "out", " 2> ", folder_ / "err");
    const int status = std::system(command.c_str());
    Outcome outcome = {WEXITSTATUS(status), {}, *FileSystem::Posix().Read(folder_ / "err")};
    const std::string out = *FileSystem::Posix().Read(folder_ / "out");
    for (absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
      outcome.lines.push_back(Json::parse(line));
    }
    return outcome;
  }

  TempFolder folder_;
  const std::string policy_;
  const ModelConfig config_ = TinyLlamaConfig();
};

std::string Line(const Json& json) { return json.dump() + "\n"; }

TEST_F(TokenCommandsTest, GenerateAnswersEveryLineInOrderAsIfItWereAlone) {
  std::vector<std::string> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(Line({{"ids", RandomTokens(config_, 1 + 5 * (19 - i), i)},
                             {"max_tokens", 1 + 7 * (i % 3)},
                             {"temperature", 0.5 * (i % 3)},
                             {"seed", i}}));
  }
  std::string input;
  for (const std::string& request : requests) input += request;
  const Outcome together = Run("generate --batch 5 --threads 2", input);
  ASSERT_EQ(together.exit_code, 0) << together.err;
  ASSERT_EQ(together.lines.size(), requests.size());
  for (size_t i = 0; i < requests.size(); i += 6) {
    const Outcome alone = Run("generate --threads 1", requests[i]);
    ASSERT_EQ(alone.lines.size(), 1u);
    EXPECT_EQ(alone.lines[0], together.lines[i]);
  }
}

TEST_F(TokenCommandsTest, GreedyIdsAreTheLargestLogitsAndEndWithTheEndToken) {
  const std::vector<uint32_t> prompt = RandomTokens(config_, 12, 3);
  const Outcome outcome =
      Run("generate", Line({{"ids", prompt}, {"max_tokens", 140}, {"temperature", 0}}));
  ASSERT_EQ(outcome.lines.size(), 1u) << outcome.err;
  const std::vector<uint32_t> ids = outcome.lines[0]["ids"];
  EXPECT_EQ(outcome.lines[0]["logprobs"].size(), ids.size());
  std::vector<uint32_t> tokens = prompt;
  const auto decoder = NewCpuDecoder(config_, RandomPolicyWeights(config_, 1), 1).value();
  for (uint32_t id : ids) {
    const auto cache = decoder->NewCache();
    const DecodeRow row = {cache.get(), tokens};
    ASSERT_EQ(id, SampleToken(decoder->Decode({&row, 1}).value()[0], 0, 0, 0).token_id);
    tokens.push_back(id);
  }
  EXPECT_TRUE(ids.back() == config_.end_token_ids[0] || ids.size() == 140);
}

TEST_F(TokenCommandsTest, LogprobScoresEveryIdAfterTheFirst) {
  std::string input;
  std::vector<std::vector<uint32_t>> sequences;
  for (int i = 0; i < 12; ++i) {
    sequences.push_back(RandomTokens(config_, 1 + 13 * i, i));
    input += Line({{"ids", sequences.back()}});
  }
  const Outcome outcome = Run("logprob", input);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  ASSERT_EQ(outcome.lines.size(), sequences.size());
  const auto decoder = NewCpuDecoder(config_, RandomPolicyWeights(config_, 1), 1).value();
  for (size_t i = 0; i < sequences.size(); ++i) {
    const std::vector<float> logprobs = outcome.lines[i]["logprobs"];
    ASSERT_EQ(logprobs.size(), sequences[i].size() - 1);
    const auto cache = decoder->NewCache();
    for (size_t t = 0; t < logprobs.size(); ++t) {
      const DecodeRow row = {cache.get(), std::span(sequences[i]).subspan(t, 1)};
      const std::vector<float> logits = decoder->Decode({&row, 1}).value()[0];
      EXPECT_EQ(logprobs[t], TokenLogprob(logits, 1, sequences[i][t + 1]));
    }
  }
}

TEST_F(TokenCommandsTest, BadLinesAreNamedAndTheOthersAnswered) {
  const std::string good = R"({"ids":[1,2],"max_tokens":3,"temperature":0})"
                           "\n";
  const Outcome outcome = Run("generate", good + "{oops\n\n" +
                                              R"({"ids":[]})"
                                              "\n"
                                              R"({"ids":[1,97]})"
                                              "\n"
                                              R"({"ids":[1],"max_tokens":0})"
                                              "\n"
                                              R"({"ids":[1],"temperature":-1})"
                                              "\n"
                                              R"({"ids":[1],"max_token":5})"
                                              "\n"
                                              R"({"max_tokens":5})"
                                              "\n" +
                                              good);
  EXPECT_EQ(outcome.exit_code, 1);
  ASSERT_EQ(outcome.lines.size(), 2u);
  EXPECT_EQ(outcome.lines[0], outcome.lines[1]);
  EXPECT_THAT(outcome.err, HasSubstr("routewright generate: line 2: not a JSON object"));
  EXPECT_THAT(outcome.err, HasSubstr("line 4: 'ids' must be a list of at least one token id"));
  EXPECT_THAT(outcome.err,
              HasSubstr("line 5: 'ids' holds 97, token ids are integers from 0 to 96"));
  EXPECT_THAT(outcome.err, HasSubstr("line 6: 'max_tokens' must be a positive integer"));
  EXPECT_THAT(outcome.err, HasSubstr("line 7: 'temperature' must be"));
  EXPECT_THAT(outcome.err, HasSubstr("line 8: the key 'max_token' is not known"));
  EXPECT_THAT(outcome.err, HasSubstr("line 9: the key 'ids' is missing"));
  const Outcome logprob = Run("logprob", R"({"ids":[1,2],"seed":1})"
                                         "\n");
  EXPECT_EQ(logprob.exit_code, 1);
  EXPECT_THAT(logprob.err, HasSubstr("line 1: the key 'seed' is not known (ids is)"));
}

TEST_F(TokenCommandsTest, LineIsAnsweredBeforeTheNextOneComes) {
  for (const char* name : {"generate", "logprob"}) {
    const std::string in = folder_ / absl::StrCat(name, ".in"),
                      out = folder_ / absl::StrCat(name, ".out");
    ASSERT_EQ(std::system(absl::StrCat("mkfifo ", in, " ", out).c_str()), 0);
    const std::string command =
        absl::StrCat(Command(name), " --policy ", policy_, " < ", in, " > ", out, " &");
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ofstream input(in);
    std::ifstream output(out);
    for (int i = 0; i < 3; ++i) {
      input << R"({"ids":[1,2,3]})" << std::endl;
      std::string answer;
      ASSERT_TRUE(std::getline(output, answer));  // hangs if the program waits for more lines
      EXPECT_TRUE(Json::parse(answer).contains("logprobs"));
    }
  }
}

TEST_F(TokenCommandsTest, MissingPolicyFolderIsOneSentence) {
  for (const char* name : {"generate", "logprob"}) {
    const std::string command =
        absl::StrCat(Command(name), " --policy /nowhere/at/all < /dev/null 2> ", folder_ / "err");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
    EXPECT_THAT(*FileSystem::Posix().Read(folder_ / "err"), HasSubstr("/nowhere/at/all"));
  }
}

}  // namespace
}  // namespace routewright
