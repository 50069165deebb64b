#include "trainer/live_page/worker_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

std::vector<std::string> Ids(const nlohmann::ordered_json& table) {
  std::vector<std::string> ids;
  for (const auto& row : table["rows"]) ids.push_back(row["id"]);
  return ids;
}

WorkersView Three() {
  WorkersView view;
  view.newest_version = 9;
  view.workers = {
      {.id = "b", .silent_s = 5, .is_live = true, .policy_version = 9, .trajectories = 7},
      {.id = "a", .silent_s = 1, .is_live = true, .policy_version = 6, .trajectories = 9},
      {.id = "c", .silent_s = 900, .is_live = false, .policy_version = 0, .waited_s = 3}};
  return view;
}

TEST(WorkerTableTest, AllAreCountedAndTheWorstComeFirst) {
  const auto table = WorkerTable(Three(), "silent", 10);
  EXPECT_EQ(table["count"], 3);
  EXPECT_EQ(table["live"], 2);
  EXPECT_EQ(table["trajectories"], 16);
  EXPECT_EQ(table["lags"].dump(), R"({"0":1,"2+":1})") << "those that are silent do not lag";
  EXPECT_THAT(Ids(table), ::testing::ElementsAre("c", "b", "a"));
  EXPECT_TRUE(table["rows"][0]["lag"].is_null());
  EXPECT_EQ(table["rows"][2]["lag"], 3);
  EXPECT_THAT(Ids(WorkerTable(Three(), "lag", 10)), ::testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(Ids(WorkerTable(Three(), "trajectories", 2)), ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(Ids(WorkerTable(Three(), "waited", 1)), ::testing::ElementsAre("c"));
  EXPECT_THAT(Ids(WorkerTable(Three(), "<script>", 10)), ::testing::ElementsAre("a", "b", "c"));
}

TEST(WorkerTableTest, OfThousandsAFewAreListed) {
  const auto table = WorkerTable(MadeUpWorkers(5000, 40), "lag", 50);
  EXPECT_EQ(table["count"], 5000);
  EXPECT_EQ(table["rows"].size(), 50u);
  EXPECT_LT(table.dump().size(), 20'000u);
}

TEST(WorkerTableTest, NobodyIsFine) { EXPECT_EQ(WorkerTable({}, "silent", 10)["count"], 0); }

}  // namespace
}  // namespace routewright
