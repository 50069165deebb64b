#include "trainer/algorithm/algorithms.h"

#include <algorithm>
#include <iterator>

#include "common/check.h"
#include "common/kind_table.h"
#include "trainer/algorithm/advantages/demonstrated.h"
#include "trainer/algorithm/advantages/gae.h"
#include "trainer/algorithm/advantages/group_advantages.h"
#include "trainer/algorithm/advantages/reinforce_plus_plus.h"

namespace routewright {
namespace {

constexpr Algorithm kAlgorithms[] = {
    {TrainerConfig::ALGORITHM_GRPO, EstimateByGroup, PolicyObjective},
    {TrainerConfig::ALGORITHM_PPO, EstimateByGae, PolicyObjective},
    {TrainerConfig::ALGORITHM_SUPERVISED, EstimateDemonstrated, SupervisedObjective},
    {TrainerConfig::ALGORITHM_RLOO, EstimateLeaveOneOut, PolicyObjective},
    {TrainerConfig::ALGORITHM_REINFORCE_PLUS_PLUS, EstimateReinforcePlusPlus, PolicyObjective},
    {TrainerConfig::ALGORITHM_REINFORCE_PLUS_PLUS_BASELINE, EstimateReinforcePlusPlusBaseline,
     PolicyObjective},
};

static_assert(HasARowOfEach(kAlgorithms, TrainerConfig::Algorithm_ARRAYSIZE),
              "kAlgorithms needs a row of each Algorithm of config.proto, in its order");

static_assert(std::all_of(std::begin(kAlgorithms), std::end(kAlgorithms),
                          [](const Algorithm& row) { return row.estimate && row.objective; }),
              "a row of kAlgorithms lacks a function");

}  // namespace

const Algorithm& AlgorithmOf(const TrainerConfig& config) {
  RW_CHECK(config.algorithm() != TrainerConfig::ALGORITHM_UNSPECIFIED) << "no algorithm";
  return kAlgorithms[config.algorithm() - 1];
}

}  // namespace routewright
