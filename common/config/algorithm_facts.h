// What proto/config.proto says of an algorithm beside its name. Whoever has to know of what kind an algorithm is asks
// here; nobody compares its name. Pure; any thread.
#pragma once

#include <string>

#include "proto/config.pb.h"
#include "proto/config_options.pb.h"

namespace routewright {

const AlgorithmFacts& FactsOf(TrainerConfig::Algorithm algorithm);
const AlgorithmFacts& FactsOf(const TrainerConfig& config);

// As in YAML: "grpo".
std::string AlgorithmName(const TrainerConfig& config);
// The names of those that a fact holds for, "grpo" or "grpo, rloo".
std::string AlgorithmsWith(bool (AlgorithmFacts::*fact)() const);

}  // namespace routewright
