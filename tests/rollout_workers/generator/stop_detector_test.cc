#include "rollout_workers/generator/stop_detector.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace routewright {
namespace {

// Index of the token at which `tokens` stop, or -1.
int StopsAt(const std::vector<std::string>& stops, const std::vector<std::string>& tokens) {
  StopDetector detector(stops);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (detector.Append(tokens[i])) return static_cast<int>(i);
  }
  return -1;
}

const std::vector<std::string> kTags = {"</search>", "</answer>"};

TEST(StopDetectorTest, FindsATagThatIsOneToken) {
  EXPECT_EQ(StopsAt(kTags, {"a", "</answer>", "b"}), 1);
}

TEST(StopDetectorTest, FindsATagAcrossTokenBorders) {
  EXPECT_EQ(StopsAt(kTags, {"x</", "sea", "rch", ">", "y"}), 3);
  EXPECT_EQ(StopsAt(kTags, {"<", "/", "a", "n", "s", "w", "e", "r", ">"}), 8);
}

TEST(StopDetectorTest, FindsATagThatEndsInsideAToken) {
  EXPECT_EQ(StopsAt(kTags, {"x </search", ">\n\n", "more"}), 1);
  EXPECT_EQ(StopsAt(kTags, {"pre</search>post"}), 0);
}

TEST(StopDetectorTest, FindsATagAfterAFalseStart) {
  EXPECT_EQ(StopsAt(kTags, {"</sea", "</search", ">"}), 2);
  EXPECT_EQ(StopsAt({"aab"}, {"a", "a", "a", "b"}), 3);
}

TEST(StopDetectorTest, FindsATagFarInTheRound) {
  std::vector<std::string> tokens(1000, "</search");
  tokens.push_back("</answer>");
  EXPECT_EQ(StopsAt(kTags, tokens), 1000);
}

TEST(StopDetectorTest, GoesOnWithoutATag) {
  EXPECT_EQ(StopsAt(kTags, {"<search>", "</search", " >", "</ answer>"}), -1);
  EXPECT_EQ(StopsAt({}, {"</answer>"}), -1);
  EXPECT_EQ(StopsAt({""}, {"a", "", "b"}), -1);
}

TEST(StopDetectorTest, OneByteStopsNeedNoMemory) {
  EXPECT_EQ(StopsAt({"\n"}, {"a", "", "b\nc"}), 2);
}

}  // namespace
}  // namespace routewright
