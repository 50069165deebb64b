#include "rollout_workers/episode/model_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PoolConfig Pool(const std::vector<std::vector<std::string>>& names) {
  PoolConfig config;
  for (const auto& spellings : names) {
    PoolModelConfig* model = config.add_models();
    model->set_name(spellings[0]);
    for (size_t i = 1; i < spellings.size(); ++i) model->add_aliases(spellings[i]);
  }
  return config;
}

TEST(ModelListTest, FindsNamesAndAliasesInAnyCaseTrimmed) {
  const auto list = ModelList::Build(Pool({{"Atlas", "maps"}, {"Qwen2.5-7B", "Ärzte"}}));
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->names(), ElementsAre("Atlas", "Qwen2.5-7B"));
  EXPECT_EQ(*list->Find("\n aTLAS "), "Atlas");
  EXPECT_EQ(*list->Find("MAPS"), "Atlas");
  EXPECT_EQ(*list->Find("qwen2.5-7b"), "Qwen2.5-7B");
  EXPECT_EQ(*list->Find("äRZTE"), "Qwen2.5-7B");
}

TEST(ModelListTest, AnythingElseIsUnknown) {
  const auto list = ModelList::Build(Pool({{"Atlas"}}));
  for (const char* name : {"", " ", "Atla", "Atlas2", "the Atlas", "At las"})
    EXPECT_EQ(list->Find(name), nullptr);
}

TEST(ModelListTest, RefusesWhatThePolicyCouldNotName) {
  for (const auto& config : {Pool({}), Pool({{""}}), Pool({{" a"}}), Pool({{"a", "llama3:8b"}})}) {
    EXPECT_EQ(ModelList::Build(config).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ModelListTest, RefusesTwoModelsOfOneName) {
  const absl::Status status = ModelList::Build(Pool({{"Atlas"}, {"Sage", "ATLAS"}})).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("'ATLAS' names both Atlas and Sage"));
  EXPECT_FALSE(ModelList::Build(Pool({{"Atlas"}, {"atlas"}})).ok());
  EXPECT_TRUE(ModelList::Build(Pool({{"Atlas", "atlas"}})).ok());
}

}  // namespace
}  // namespace routewright
