#include "trainer/trace/chrome_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "tests/trainer/trace/shown_spans.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::ordered_json;

TraceSpan Span(const std::string& name, int64_t start_us, int64_t duration_us) {
  TraceSpan span;
  span.set_name(name);
  span.set_start_us(start_us);
  span.set_duration_us(duration_us);
  return span;
}

std::vector<std::string> Shown(const ChromeTrace& trace) {
  return ShownSpans(Json::parse(trace.ToJson({{"run", "r"}})));
}

TEST(ChromeTraceTest, TimesBeginAtTheEarliestSpan) {
  ChromeTrace trace;
  const int rank = trace.AddProcess("rank 0"), pool = trace.AddProcess("pool");
  trace.AddSpan(rank, "training", Span("update", 1'000'500, 30));
  trace.AddSpan(pool, "Sage", Span("call", 1'000'100, 7));
  EXPECT_THAT(Shown(trace), ElementsAre("rank 0/training/update 400+30", "pool/Sage/call 0+7"));
}

TEST(ChromeTraceTest, WhatOverlapsGoesIntoLanesAndStaysTogether) {
  ChromeTrace trace;
  const int pool = trace.AddProcess("pool");
  trace.AddInLanes(
      pool, "Sage",
      {{Span("b", 5, 10), Span("b1", 5, 4)}, {Span("a", 0, 6)}, {}, {Span("c", 6, 1)}});
  EXPECT_THAT(Shown(trace), ElementsAre("pool/Sage 1/a 0+6", "pool/Sage 2/b 5+10",
                                        "pool/Sage 2/b1 5+4", "pool/Sage 1/c 6+1"));
}

TEST(ChromeTraceTest, NoTwoGroupsOfALaneOverlap) {
  std::vector<SpanGroup> groups;
  for (uint64_t i = 0; i < 500; ++i) {
    groups.push_back({Span(absl::StrCat(i), static_cast<int64_t>(RandomBits(1, i) % 1000),
                           static_cast<int64_t>(RandomBits(2, i) % 50))});
  }
  ChromeTrace trace;
  trace.AddInLanes(trace.AddProcess("p"), "t", groups);
  const Json json = Json::parse(trace.ToJson(Json::object()));
  std::map<int, int64_t> ends;
  int spans = 0;
  for (const Json& event : json["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const int64_t begin = event["ts"];
    EXPECT_GE(begin, ends[event["tid"]]);
    ends[event["tid"]] = begin + event["dur"].get<int64_t>();
    ++spans;
  }
  EXPECT_EQ(spans, 500);
  EXPECT_LT(ends.size(), 60u);  // lanes are used again
}

TEST(ChromeTraceTest, NamesMayHoldAnyBytes) {
  ChromeTrace trace;
  TraceSpan span = Span("\"</script>\xC3\xA9", 0, 1);
  (*span.mutable_details())["key"] = "line\nline";
  trace.AddSpan(trace.AddProcess("p\\"), "t\t", span);
  const Json json = Json::parse(trace.ToJson(Json::object()));
  EXPECT_EQ(json["traceEvents"].back()["name"], "\"</script>\xC3\xA9");
  EXPECT_EQ(json["traceEvents"].back()["args"]["key"], "line\nline");
}

}  // namespace
}  // namespace routewright
