#include "rollout_workers/pool/protocols/server_sent_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ServerSentEventsTest, GivesTheDataOfEachEventHoweverTheBytesCome) {
  const std::string stream =
      ": a comment\nevent: x\ndata: one\r\n\r\ndata:two\ndata: lines\n\nid: 7\n\n";
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    std::vector<std::string> events;
    ServerSentEvents reader([&](std::string_view data) { events.emplace_back(data); });
    for (size_t start = 0; start < stream.size(); start += piece) {
      reader.Feed(std::string_view(stream).substr(start, piece));
    }
    EXPECT_THAT(events, ElementsAre("one", "two\nlines")) << piece;
    EXPECT_EQ(reader.TakeUnfinished(), "");
  }
}

TEST(ServerSentEventsTest, WhatNoBlankLineEndedIsUnfinished) {
  std::vector<std::string> events;
  ServerSentEvents reader([&](std::string_view data) { events.emplace_back(data); });
  reader.Feed("data: a\ndata: b");
  EXPECT_THAT(events, IsEmpty());
  EXPECT_EQ(reader.TakeUnfinished(), "a\nb");
  EXPECT_EQ(reader.TakeUnfinished(), "");
}

}  // namespace
}  // namespace routewright
