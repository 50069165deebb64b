#include "common/config/algorithm_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(AlgorithmFactsTest, EveryAlgorithmSaysWhatItIs) {
  const google::protobuf::EnumDescriptor& type = *TrainerConfig::Algorithm_descriptor();
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() == TrainerConfig::ALGORITHM_UNSPECIFIED) continue;
    EXPECT_TRUE(type.value(i)->options().HasExtension(algorithm_facts)) << type.value(i)->name();
  }
}

TEST(AlgorithmFactsTest, AConfigsAlgorithmIsAsked) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_PPO);
  EXPECT_EQ(AlgorithmName(config), "ppo");
  EXPECT_TRUE(FactsOf(config).needs_critic());
  EXPECT_FALSE(FactsOf(config).needs_groups());
  EXPECT_FALSE(FactsOf(config).learns_from_demonstrations());
}

TEST(AlgorithmFactsTest, NamesThoseThatAFactHoldsFor) {
  const std::string with_groups = AlgorithmsWith(&AlgorithmFacts::needs_groups);
  EXPECT_THAT(with_groups, ::testing::HasSubstr("grpo"));
  EXPECT_THAT(with_groups, ::testing::Not(::testing::HasSubstr("supervised")));
}

}  // namespace
}  // namespace routewright
