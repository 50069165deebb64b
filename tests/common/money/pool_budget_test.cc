#include "common/money/pool_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Line(int64_t cost_picousd) {
  return absl::StrCat(R"({"call_id":"e/1/0","reply":"\"cost_picousd\":\"99\"","cost_picousd":")",
                      cost_picousd, R"(","latency_ms":1})");
}

void Append(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::app) << text;
}

TEST(LedgerTotalTest, IsTheSumOfAllProcessesLinesAndGrowsWithThem) {
  const TempFolder temp;
  LedgerTotal total(temp / "ledger");
  EXPECT_EQ(total.Update().value(), 0);  // there is no folder yet
  Append(temp / "ledger/a.jsonl", Line(5) + "\n" + Line(7) + "\n");
  Append(temp / "ledger/b.jsonl", Line(100) + "\n");
  Append(temp / "ledger/notes.txt", "not a ledger\n");
  EXPECT_EQ(total.Update().value(), 112);
  EXPECT_EQ(total.Update().value(), 112);
  Append(temp / "ledger/a.jsonl", Line(1) + "\n");
  Append(temp / "ledger/c.jsonl", Line(1000) + "\n");
  EXPECT_EQ(total.Update().value(), 1113);
  EXPECT_EQ(LedgerTotal(temp / "ledger").Update().value(), 1113);
}

TEST(LedgerTotalTest, ALineCountsOnceItIsWhole) {
  const TempFolder temp;
  LedgerTotal total(temp / "ledger");
  const std::string line = Line(5);
  Append(temp / "ledger/a.jsonl", line.substr(0, 20));
  EXPECT_EQ(total.Update().value(), 0);
  Append(temp / "ledger/a.jsonl", line.substr(20));
  EXPECT_EQ(total.Update().value(), 0);
  Append(temp / "ledger/a.jsonl", "\n" + line.substr(0, 30));
  EXPECT_EQ(total.Update().value(), 5);
}

TEST(LedgerTotalTest, ALineThatSaysNoCostIsNamed) {
  for (const std::string& bad :
       {std::string("garbage"), std::string(R"({"cost_picousd":"many"})"), Line(-1)}) {
    const TempFolder temp;
    Append(temp / "ledger/a.jsonl", Line(5) + "\n" + bad + "\n" + Line(6) + "\n");
    const auto sum = LedgerTotal(temp / "ledger").Update();
    EXPECT_EQ(sum.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(sum.status().message()), HasSubstr("a.jsonl:2: no line"));
  }
}

RunConfig Config(const TempFolder& temp, double budget_usd) {
  RunConfig config;
  config.mutable_run()->set_name("run");
  config.mutable_run()->set_output_dir(temp.path());
  config.mutable_run()->set_budget_usd(budget_usd);
  return config;
}

TEST(PoolBudgetTest, IsSpentWhenTheLedgerSaysSo) {
  const TempFolder temp;
  const RunConfig config = Config(temp, 2);
  const std::string path = PoolLedgerFolder(config) + "/a.jsonl";
  Append(path, Line(1'500'000'000'000) + "\n");
  ManualClock clock;
  PoolBudget budget(config, &clock);
  EXPECT_TRUE(budget.Check().ok());
  EXPECT_DOUBLE_EQ(budget.used_share(), 0.75);
  Append(path, Line(500'000'000'000) + "\n");
  EXPECT_TRUE(budget.Check().ok());  // it has just looked
  clock.Advance(PoolBudget::kCheckEvery);
  const absl::Status spent = budget.Check();
  EXPECT_EQ(spent.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(spent.message()),
              AllOf(HasSubstr("cost $2, and run.budget_usd is $2"), HasSubstr("raise it")));
  EXPECT_EQ(PoolBudget(config).Check(), spent);  // starting again does not help
  EXPECT_TRUE(PoolBudget(Config(temp, 3)).Check().ok());
}

TEST(PoolBudgetTest, KnowsOfCallsWhoseLedgerIsElsewhere) {
  const TempFolder temp;
  const RunConfig config = Config(temp, 2);
  Append(PoolLedgerFolder(config) + "/a.jsonl", Line(500'000'000'000) + "\n");
  EXPECT_TRUE(PoolBudget(config).Check(/*known_picousd=*/1'900'000'000'000).ok());
  EXPECT_EQ(PoolBudget(config).Check(2'000'000'000'000).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(PoolBudgetTest, AFileSystemThatDoesNotAnswerHasAMinute) {
  const TempFolder temp;
  const RunConfig config = Config(temp, 2);
  const std::string folder = PoolLedgerFolder(config);
  Append(folder + "/a.jsonl", Line(5) + "\n");
  ManualClock clock;
  PoolBudget budget(config, &clock);
  EXPECT_TRUE(budget.Check().ok());
  std::filesystem::remove_all(folder);
  Append(folder, "not a folder");
  clock.Advance(PoolBudget::kPatience / 2);
  EXPECT_TRUE(budget.Check().ok());
  clock.Advance(PoolBudget::kPatience / 2);
  EXPECT_EQ(budget.Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(PoolBudget(config).Check().code(), absl::StatusCode::kUnavailable);  // at a start: none
}

TEST(PoolBudgetTest, WhatCannotBeCountedIsNotSpent) {
  const TempFolder temp;
  const RunConfig config = Config(temp, 2);
  Append(PoolLedgerFolder(config) + "/a.jsonl", "garbage\n");
  EXPECT_EQ(PoolBudget(config).Check().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(PoolBudget(Config(temp, 0)).Check().ok());  // no limit: nothing is read
}

}  // namespace
}  // namespace routewright
