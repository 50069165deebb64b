#include "trainer/algorithm/algorithms.h"

#include <iterator>

#include "common/check.h"
#include "trainer/algorithm/advantages/demonstrated.h"
#include "trainer/algorithm/advantages/gae.h"
#include "trainer/algorithm/advantages/group_advantages.h"

namespace routewright {
namespace {

constexpr Algorithm kAlgorithms[] = {
    {TrainerConfig::ALGORITHM_GRPO, EstimateByGroup, PolicyObjective},
    {TrainerConfig::ALGORITHM_PPO, EstimateByGae, PolicyObjective},
    {TrainerConfig::ALGORITHM_SUPERVISED, EstimateDemonstrated, SupervisedObjective},
};

constexpr bool HasARowOfEach() {
  for (int value = 1; value < TrainerConfig::Algorithm_ARRAYSIZE; ++value) {
    if (value > std::ssize(kAlgorithms) || kAlgorithms[value - 1].name != value) return false;
  }
  return std::ssize(kAlgorithms) == TrainerConfig::Algorithm_ARRAYSIZE - 1;
}
static_assert(HasARowOfEach(),
              "kAlgorithms needs a row of each Algorithm of config.proto, in its order");

}  // namespace

const Algorithm& AlgorithmOf(const TrainerConfig& config) {
  RW_CHECK(config.algorithm() != TrainerConfig::ALGORITHM_UNSPECIFIED) << "no algorithm";
  return kAlgorithms[config.algorithm() - 1];
}

}  // namespace routewright
