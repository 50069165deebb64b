#include "rollout_workers/pool/pool_ledger.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/network_address.h"
#include "tests/common/temp_folder.h"
#include "tests/rollout_workers/pool/ledger_reading.h"

namespace routewright {
namespace {

PoolCall Call(const std::string& call_id) {
  PoolCall call;
  call.set_call_id(call_id);
  call.set_model("Sage");
  call.set_outcome(CALL_OUTCOME_TRUNCATED);
  call.set_cost_picousd(1LL << 60);
  call.set_reply("two\nlines \"quoted\" \x01 ï");
  return call;
}

TEST(PoolLedgerTest, ALineHoldsTheWholeCallAndTheTime) {
  const std::string line = *LedgerLine(Call("e/1/0"), absl::FromUnixMillis(1'767'225'600'123));
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["call_id"], "e/1/0");
  EXPECT_EQ(json["outcome"], "CALL_OUTCOME_TRUNCATED");
  EXPECT_EQ(json["cost_picousd"], "1152921504606846976");
  EXPECT_EQ(json["reply"], "two\nlines \"quoted\" \x01 ï");
  EXPECT_EQ(json["time"], "2026-01-01T00:00:00.123Z");
  EXPECT_EQ(json["attempts"], 0);  // zeros are written out
}

TEST(PoolLedgerTest, NoTwoLinesHaveTheSameChargeIdAndTheCallBearsItsOwn) {
  const TempFolder folder;
  std::set<std::string> of_calls, of_lines;
  for (int process = 0; process < 3; ++process) {
    PoolLedger ledger = *PoolLedger::Open(FileSystem::Posix(), folder / "ledger");
    for (int i = 0; i < 2; ++i) {
      PoolCall call = Call("e/1/0");
      ASSERT_TRUE(ledger.Write(call, absl::UnixEpoch()).ok());
      of_calls.insert(call.charge_id());
    }
  }
  for (const auto& line : ReadLedger(folder / "ledger")) {
    of_lines.insert(line["charge_id"].get<std::string>());
  }
  EXPECT_EQ(of_lines.size(), 6u);
  EXPECT_EQ(of_lines, of_calls);
}

TEST(PoolLedgerTest, EveryProcessWritesAFileOfItsOwn) {
  const TempFolder folder;
  const absl::Time start = absl::FromUnixSeconds(1'767'225'600);
  PoolLedger first = *PoolLedger::Open(FileSystem::Posix(), folder / "ledger", start);
  PoolLedger second =
      *PoolLedger::Open(FileSystem::Posix(), folder / "ledger", start + absl::Seconds(1));
  PoolCall a = Call("a"), b = Call("b"), c = Call("c");
  ASSERT_TRUE(first.Write(a, absl::UnixEpoch()).ok());
  ASSERT_TRUE(second.Write(b, absl::UnixEpoch()).ok());
  ASSERT_TRUE(first.Write(c, absl::UnixEpoch()).ok());
  const std::vector<std::string> names = *FileSystem::Posix().List(folder / "ledger");
  ASSERT_EQ(names.size(), 2u);
  const std::string prefix = a.charge_id().substr(0, a.charge_id().find('-'));
  EXPECT_EQ(names[0], absl::StrCat("20260101T000000Z-", HostName(), "-", prefix, ".jsonl"));
  std::string ids;
  for (const auto& line : ReadLedger(folder / "ledger")) {
    ids += line["call_id"].get<std::string>();
  }
  EXPECT_EQ(ids, "acb");
}

TEST(PoolLedgerTest, AFolderThatCannotBeMadeIsNamed) {
  const TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), folder / "file", "").ok());
  const auto ledger = PoolLedger::Open(FileSystem::Posix(), folder / "file/ledger");
  EXPECT_NE(std::string(ledger.status().message())
                .find(absl::StrCat("cannot make folder ", folder / "file")),
            std::string::npos);
}

}  // namespace
}  // namespace routewright
