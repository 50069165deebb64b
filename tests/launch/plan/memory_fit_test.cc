#include "launch/plan/memory_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/launch/plan/planned_models.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Qwen2.5-3B in bf16 on GPUs, GRPO with a reference policy.
PlanInput Qwen3B(int ranks) {
  PlanInput input;
  input.model = Qwen3BModel();
  input.config.mutable_loss()->set_kl_coefficient(0.01);
  input.bytes_per_element = 2;
  input.ranks = input.ranks_per_host = ranks;
  input.has_gpu = true;
  return input;
}

int64_t H100Bytes() { return FindDeviceMemory("h100", 1).value().usable_bytes(); }

TEST(MemoryFitTest, AnUnknownDeviceIsNamedWithThoseThatAreKnown) {
  const absl::Status status = FindDeviceMemory("h1000", 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'h1000'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("h100, h200, a100 or cpu"));
}

TEST(MemoryFitTest, RanksOfAHostShareTheMachinesMemory) {
  const DeviceMemory one = FindDeviceMemory("cpu", 1).value();
  const DeviceMemory four = FindDeviceMemory("cpu", 4).value();
  EXPECT_GT(one.usable_bytes(), 0);
  EXPECT_EQ(four.capacity_bytes, one.capacity_bytes / 4);
}

TEST(MemoryFitTest, WhatFitsNeedsNoChange) {
  PlanInput input = Qwen3B(1);
  input.config.set_recompute_activations(true);
  const auto advice = CheapestFit(input, H100Bytes(), /*min_tokens=*/4096);
  ASSERT_TRUE(advice.has_value());
  EXPECT_TRUE(advice->changes.empty());
}

TEST(MemoryFitTest, OneRankComputesAgainAndEightShard) {
  EXPECT_THAT(CheapestFit(Qwen3B(1), H100Bytes(), 4096)->changes,
              ElementsAre("trainer.recompute_activations=true"));
  EXPECT_THAT(CheapestFit(Qwen3B(8), H100Bytes(), 4096)->changes,
              ElementsAre("trainer.sharding.stage=optimizer"));
}

TEST(MemoryFitTest, ACheckpointsCopyCountsWhereItIsAndIsTheFirstToGoOnACpu) {
  PlanInput input = Qwen3B(2);
  const int64_t copy = 12 * PlanMemory(input).reference / 2 / 2;  // the reference is in bf16
  EXPECT_EQ(PlanMemory(input).checkpoint, 0);
  EXPECT_EQ(PlanMemory(input).on_host, copy);
  input.has_gpu = false;
  const MemoryPlan plan = PlanMemory(input);
  EXPECT_EQ(plan.checkpoint, copy);
  EXPECT_EQ(plan.on_host, 0);
  EXPECT_THAT(CheapestFit(input, plan.peak() - 1, /*min_tokens=*/8192)->changes,
              ElementsAre("trainer.checkpoint.asynchronous=false"));
}

TEST(MemoryFitTest, MoreRanksAreTheLastResortAndATooSmallDeviceIsSaidSo) {
  PlanInput input = Qwen3B(1);
  input.has_gpu = false;  // nowhere to offload to
  const int64_t small = int64_t{12} << 30;
  const auto advice = CheapestFit(input, small, 1024);
  ASSERT_TRUE(advice.has_value());
  EXPECT_GT(advice->input.ranks, 1);
  EXPECT_LE(advice->plan.peak(), small);
  EXPECT_FALSE(CheapestFit(input, int64_t{1} << 30, 1024).has_value());
}

}  // namespace
}  // namespace routewright
