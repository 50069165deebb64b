// Runs as several MPI ranks: every rank makes the same checks.
#include "trainer/comm/communicator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/trainer/comm/run_as_ranks.h"
#include "trainer/comm/checked_communicator.h"

namespace routewright {
namespace {

Communicator* communicator = nullptr;

float Term(int rank, int i) { return 1.0f / (1 + rank * 7 + i % 1013); }

// Sizes around the number of ranks: pieces that are empty or shorter than the others.
TEST(CommunicatorTest, AllReduceEqualsTheRankOrderedSumBitwise) {
  for (const int n : {0, 1, 2, 3, 5, 1000, 100001}) {
    std::vector<float> values(n), expected(n);
    for (int i = 0; i < n; ++i) {
      values[i] = Term(communicator->rank(), i);
      expected[i] = Term(0, i);
      for (int r = 1; r < communicator->size(); ++r) expected[i] += Term(r, i);
    }
    ASSERT_TRUE(
        communicator->AllReduceSum("sum", {.data = values.data(), .num_elements = n})->Wait().ok());
    EXPECT_EQ(values, expected) << n << " elements";
  }
}

void ExpectScatterAndGatherEqualAllReduce(int each) {
  const int n = each * communicator->size();
  std::vector<float> all(n), reduced(n), mine(each), gathered(n);
  for (int i = 0; i < n; ++i) all[i] = reduced[i] = Term(communicator->rank(), i);
  const CommBuffer piece{.data = mine.data(), .num_elements = each};
  ASSERT_TRUE(
      communicator->ReduceScatterSum("scatter", {.data = all.data(), .num_elements = n}, piece)
          ->Wait()
          .ok());
  ASSERT_TRUE(communicator->AllGather("gather", piece, {.data = gathered.data(), .num_elements = n})
                  ->Wait()
                  .ok());
  ASSERT_TRUE(
      communicator->AllReduceSum("sum", {.data = reduced.data(), .num_elements = n})->Wait().ok());
  EXPECT_EQ(gathered, reduced);
}

TEST(CommunicatorTest, ReduceScatterThenGatherEqualsAllReduceBitwise) {
  ExpectScatterAndGatherEqualAllReduce(1001);
}

// More than is held of the other ranks' pieces at a time, the last round being a short one.
TEST(CommunicatorTest, LargeSumsAreMadeInRounds) {
  const int at_once = static_cast<int>(kMpiScratchBytes / sizeof(float)) / communicator->size();
  ExpectScatterAndGatherEqualAllReduce(2 * at_once + 13);
  const int n = (2 * at_once + 5) * communicator->size() - 3;  // the last piece is shorter
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i) values[i] = Term(communicator->rank(), i);
  ASSERT_TRUE(
      communicator->AllReduceSum("sum", {.data = values.data(), .num_elements = n})->Wait().ok());
  int differing = 0;
  for (int i = 0; i < n; ++i) {
    float expected = Term(0, i);
    for (int r = 1; r < communicator->size(); ++r) expected += Term(r, i);
    differing += values[i] != expected;
  }
  EXPECT_EQ(differing, 0);
}

TEST(CommunicatorTest, GatherInPlaceKeepsOwnPiece) {
  std::vector<int64_t> all(communicator->size(), -1);
  all[communicator->rank()] = communicator->rank() * 10;
  const CommBuffer mine{
      .data = &all[communicator->rank()], .num_elements = 1, .type = CommType::kInt64};
  const CommBuffer whole{
      .data = all.data(), .num_elements = communicator->size(), .type = CommType::kInt64};
  ASSERT_TRUE(communicator->AllGather("in place", mine, whole)->Wait().ok());
  for (int r = 0; r < communicator->size(); ++r) EXPECT_EQ(all[r], r * 10);
}

std::unique_ptr<Communicator> NewChecked() {
  return NewCheckedCommunicator(communicator->Split("all of them", /*color=*/0).value());
}

TEST(CommunicatorTest, CheckedRanksSayWhereTheirOrdersDiffer) {
  const auto checked = NewChecked();
  const bool is_last = checked->rank() + 1 == checked->size();
  std::vector<float> values(8, 1.0f);
  const CommBuffer buffer{.data = values.data(), .num_elements = 8};
  ASSERT_TRUE(checked->AllReduceSum("gradient", buffer)->Wait().ok());
  EXPECT_EQ(values[7], checked->size());
  const absl::Status status =
      is_last ? checked->Barrier("end")->Wait() : checked->AllReduceSum("gradient", buffer)->Wait();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(),
            absl::StrCat("the ranks' collectives are in different orders: rank 0 starts 'gradient' "
                         "(all-reduce, 8 elements of 4 bytes) where rank ",
                         checked->size() - 1, " starts 'end' (barrier, 0 elements of 4 bytes)"));
  EXPECT_EQ(checked->Barrier("the same")->Wait(), status);  // it stays so
}

TEST(CommunicatorTest, CheckedRanksSayWhoseBufferDiffers) {
  const auto checked = NewChecked();
  std::vector<float> values(8, 1.0f);
  const int64_t count = checked->rank() == 1 ? 7 : 8;
  const absl::Status status =
      checked->AllReduceSum("gradient", {.data = values.data(), .num_elements = count})->Wait();
  EXPECT_NE(status.message().find("rank 1 starts 'gradient' (all-reduce, 7 elements"),
            std::string::npos)
      << status;
  auto group = NewChecked()->Split("halves", /*color=*/0);
  ASSERT_TRUE(group.ok());
  EXPECT_FALSE((*group)->Barrier((*group)->rank() == 0 ? "a" : "b")->Wait().ok());  // it checks too
}

TEST(CommunicatorTest, StringsReachEveryRank) {
  for (const std::string& text :
       {std::string(), std::string("a\0b", 3), std::string(100000, 'x')}) {
    std::string value = communicator->rank() == 0 ? text : "something else";
    ASSERT_TRUE(BroadcastString(*communicator, "string", value, 0).ok());
    EXPECT_EQ(value, text);
  }
}

TEST(CommunicatorTest, SeveralCollectivesMayBeInFlight) {
  std::vector<double> a(1000, 1.0), b(1000, 2.0);
  const auto buffer = [](std::vector<double>& v) {
    return CommBuffer{.data = v.data(), .num_elements = 1000, .type = CommType::kFloat64};
  };
  auto first = communicator->AllReduceSum("first", buffer(a));
  auto second = communicator->AllReduceSum("second", buffer(b));
  ASSERT_TRUE(second->Wait().ok());
  ASSERT_TRUE(first->Wait().ok());
  EXPECT_EQ(a[999], communicator->size());
  EXPECT_EQ(b[999], 2.0 * communicator->size());
}

TEST(CommunicatorTest, AnExceptionPassesACollectiveThatIsUnderWay) {
  std::vector<float> values(100000, 1.0f);
  try {
    const auto sum = communicator->AllReduceSum("sum", {.data = values.data(), .num_elements = 7});
    throw std::runtime_error("out of memory");
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "out of memory");
  }
  EXPECT_EQ(values[6], communicator->size());
  EXPECT_EQ(values[7], 1.0f);
}

// The waiting ranks' process time is compared with what spinning would have burnt.
TEST(CommunicatorTest, AWaitingRankDoesNotSpin) {
  ASSERT_TRUE(communicator->Barrier("line up")->Wait().ok());
  const auto cpu_seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  const double cpu_before = cpu_seconds();
  const absl::Time before = absl::Now();
  if (communicator->rank() == 0) {
    const absl::Time until = absl::Now() + absl::Seconds(1);
    while (absl::Now() < until) std::this_thread::yield();  // a late peer
  }
  ASSERT_TRUE(communicator->Barrier("late")->Wait().ok());
  if (communicator->rank() != 0) {
    EXPECT_LT(cpu_seconds() - cpu_before, 0.5 * absl::ToDoubleSeconds(absl::Now() - before));
  }
}

}  // namespace
}  // namespace routewright

int main(int argc, char** argv) {
  return routewright::RunAsRanks(argc, argv, routewright::communicator);
}
