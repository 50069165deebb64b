#include "common/config/algorithm_facts.h"

#include "common/check.h"
#include "common/config/schema.h"

namespace routewright {
namespace {

const google::protobuf::EnumDescriptor& Algorithms() {
  return *TrainerConfig::Algorithm_descriptor();
}

const google::protobuf::EnumValueDescriptor& ValueOf(TrainerConfig::Algorithm algorithm) {
  const auto* value = Algorithms().FindValueByNumber(algorithm);
  RW_CHECK(value != nullptr) << "algorithm " << static_cast<int>(algorithm);
  return *value;
}

}  // namespace

const AlgorithmFacts& FactsOf(TrainerConfig::Algorithm algorithm) {
  return ValueOf(algorithm).options().GetExtension(algorithm_facts);
}

const AlgorithmFacts& FactsOf(const TrainerConfig& config) { return FactsOf(config.algorithm()); }

std::string AlgorithmName(const TrainerConfig& config) {
  return EnumValueName(ValueOf(config.algorithm()));
}

std::string AlgorithmsWith(bool (AlgorithmFacts::*fact)() const) {
  std::string names;
  for (int i = 0; i < Algorithms().value_count(); ++i) {
    const google::protobuf::EnumValueDescriptor& value = *Algorithms().value(i);
    if (!(value.options().GetExtension(algorithm_facts).*fact)()) continue;
    names += (names.empty() ? "" : ", ") + EnumValueName(value);
  }
  return names;
}

}  // namespace routewright
