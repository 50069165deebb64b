#include "rollout_workers/pool/pool_metering.h"

#include <gtest/gtest.h>

#include <limits>

namespace routewright {
namespace {

constexpr int kMaxReplyTokens = 64;

PoolReply Whole(const std::string& text) {
  PoolReply reply;
  reply.text = text;
  reply.is_complete = true;
  return reply;
}

MeteredTokens Meter(const PoolReply& reply) {
  return MeterAttempt(reply, "12345678", kMaxReplyTokens, CountFourByteTokens);
}

TEST(PoolMeteringTest, ATokenAtOneMicrodollarPerMillionCostsOnePicodollar) {
  PoolModelConfig model;
  model.set_input_price(50'000);
  model.set_output_price(250'000);
  EXPECT_EQ(CostPicousd(model, {.input_tokens = 12, .cached_input_tokens = 0, .output_tokens = 8}),
            12 * 50'000 + 8 * 250'000);
  EXPECT_EQ(CostPicousd(model, {.input_tokens = 12, .cached_input_tokens = 10, .output_tokens = 0}),
            12 * 50'000);
  model.set_cached_input_price(5'000);
  EXPECT_EQ(CostPicousd(model, {.input_tokens = 12, .cached_input_tokens = 10, .output_tokens = 8}),
            2 * 50'000 + 10 * 5'000 + 8 * 250'000);
}

TEST(PoolMeteringTest, AMillionTokensAtADollarAreADollar) {
  PoolModelConfig model;
  model.set_output_price(1'000'000);
  EXPECT_EQ(
      CostPicousd(model, {.input_tokens = 0, .cached_input_tokens = 0, .output_tokens = 1'000'000}),
      1'000'000'000'000);
}

TEST(PoolMeteringTest, CostsSaturateInsteadOfWrapping) {
  PoolModelConfig model;
  model.set_input_price(1'000'000'000'000);
  PoolCall call;
  const MeteredTokens huge{
      {.input_tokens = 100'000'000, .cached_input_tokens = 0, .output_tokens = 0}, false};
  AddToCall(model, huge, call);
  AddToCall(model, huge, call);
  EXPECT_EQ(call.cost_picousd(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(call.input_tokens(), 200'000'000);
}

TEST(PoolMeteringTest, PlausibleUsageCountsAsItIs) {
  PoolReply reply = Whole("It is Lima.");
  reply.usage = TokenUsage{.input_tokens = 20, .cached_input_tokens = 16, .output_tokens = 4};
  const MeteredTokens metered = Meter(reply);
  EXPECT_EQ(metered.usage.input_tokens, 20);
  EXPECT_EQ(metered.usage.cached_input_tokens, 16);
  EXPECT_EQ(metered.usage.output_tokens, 4);
  EXPECT_FALSE(metered.is_estimated);
}

TEST(PoolMeteringTest, MissingUsageIsCountedAndFlagged) {
  const MeteredTokens metered = Meter(Whole("It is Lima."));
  EXPECT_EQ(metered.usage.input_tokens, 2);
  EXPECT_EQ(metered.usage.output_tokens, 3);
  EXPECT_TRUE(metered.is_estimated);
}

TEST(PoolMeteringTest, AbsurdUsageIsReplacedByOwnCounts) {
  const TokenUsage absurd[] = {{-1, 0, 4},   {20, -1, 4},   {20, 0, -4},
                               {20, 21, 4},  {0, 0, 4},     {20, 0, 0},
                               {9000, 0, 4}, {20, 0, 9000}, {1LL << 62, 0, 1LL << 62}};
  for (const TokenUsage& usage : absurd) {
    PoolReply reply = Whole("It is Lima.");
    reply.usage = usage;
    EXPECT_TRUE(Meter(reply).is_estimated) << usage.input_tokens << " " << usage.output_tokens;
    EXPECT_EQ(Meter(reply).usage.output_tokens, 3);
  }
}

TEST(PoolMeteringTest, AReplyThatBrokeOffIsPaidForAsFarAsItCame) {
  PoolReply reply;
  reply.text = "It is";
  EXPECT_EQ(Meter(reply).usage.output_tokens, 2);
  EXPECT_TRUE(Meter(reply).is_estimated);
}

TEST(PoolMeteringTest, AFaultCostsWhatItsUsageSays) {
  PoolReply reply;
  reply.fault = "no choice";
  EXPECT_EQ(Meter(reply).usage.input_tokens, 0);
  reply.usage = TokenUsage{.input_tokens = 20, .cached_input_tokens = 0, .output_tokens = 0};
  EXPECT_EQ(Meter(reply).usage.input_tokens, 20);
  EXPECT_FALSE(Meter(reply).is_estimated);
}

TEST(PoolMeteringTest, ACallIsTheSumOfItsAttempts) {
  PoolModelConfig model;
  model.set_output_price(3);
  PoolCall call;
  AddToCall(model, {{.input_tokens = 5, .cached_input_tokens = 1, .output_tokens = 2}, true}, call);
  AddToCall(model, {{.input_tokens = 6, .cached_input_tokens = 0, .output_tokens = 4}, false},
            call);
  EXPECT_EQ(call.input_tokens(), 11);
  EXPECT_EQ(call.cached_input_tokens(), 1);
  EXPECT_EQ(call.output_tokens(), 6);
  EXPECT_EQ(call.cost_picousd(), 18);
  EXPECT_TRUE(call.is_estimated());
}

}  // namespace
}  // namespace routewright
